"""Editing the files of a board, and what verification says of it."""

import json

from cme.leaderboard import audit

NAMES = ("qqp", "anli", "nq_open")
"""Datasets of the board that the fixture ``small`` makes."""


def samples_of(board, name, run):
    return board.entries.parent / "samples" / f"{name}.{run}.parquet"


def edit(board, change, name="lora"):
    path = board.entries / f"{name}.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def refusal(board):
    """Return the messages about refused entries."""
    wrong = [verdict.message for verdict in audit(board.entries) if not verdict.ok]
    assert wrong and all(message.isprintable() for message in wrong)
    return "\n".join(wrong)
