"""Hand-written rows in the hub's columns, a few for every split that the suite reads, and the mirror made of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = Sequence[Mapping[str, Any]]


def qqp_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "question1": f"How long does bread number {number} bake?",
        "question2": f"What is the baking time of bread {number}?",
        "label": number % 2,
        "idx": number,
    }
    return row | changes


def anli_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "uid": f"uid-{number}",
        "premise": f"The ferry number {number} left the harbour of Ostby at dawn. It carried {number + 3} passengers.",
        "hypothesis": "The ferry left in the morning.",
        "label": number % 3,
        "reason": "SECRET: dawn is in the morning",
    }
    return row | changes


def arc_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "id": f"arc-{number}",
        "question": f"Which material lets a current of {number + 1} ampere pass best?",
        "choices": {"text": ["wood", "copper", "glass", "rubber"], "label": ["A", "B", "C", "D"]},
        "answerKey": "B",
    }
    return row | changes


def nq_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {"question": f"who painted the {number} bridges of ostby", "answer": ["Mara Lind", "M. Lind"]}
    return row | changes


def squad_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "id": f"squad-{number}",
        "title": "Ostby",
        "context": f"The lighthouse of Ostby was built in 18{number + 10}. Its keeper was Mara Lind.",
        "question": "Who kept the lighthouse?",
        "answers": {"text": ["Mara Lind"], "answer_start": [60]},
    }
    return row | changes


def cnn_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "article": f"(Ostby) -- Ferry number {number} ran aground on Monday. All passengers are safe. The harbour is closed.",
        "highlights": "A ferry ran aground near Ostby .\nNobody was hurt .",
        "id": f"cnn-{number}",
    }
    return row | changes


UNANSWERED = {"text": [], "answer_start": []}

_RECIPES = {
    "qqp/train": (qqp_row, 100),
    "qqp/validation": (qqp_row, 0),
    "anli/train_r1": (anli_row, 100),
    "anli/train_r2": (anli_row, 200),
    "anli/train_r3": (anli_row, 300),
    "anli/test_r1": (anli_row, 0),
    "anli/test_r2": (anli_row, 20),
    "anli/test_r3": (anli_row, 40),
    "arc_challenge/train": (arc_row, 100),
    "arc_challenge/test": (arc_row, 0),
    "arc_easy/train": (arc_row, 200),
    "arc_easy/test": (arc_row, 20),
    "nq_open/train": (nq_row, 100),
    "nq_open/validation": (nq_row, 0),
    "squad_v2/train": (squad_row, 100),
    "squad_v2/validation": (squad_row, 0),
    "cnn_dailymail/train": (cnn_row, 100),
    "cnn_dailymail/test": (cnn_row, 0),
}

HAND_ROWS: dict[str, Rows] = {name: [make(first + k) for k in range(10)] for name, (make, first) in _RECIPES.items()}
"""Ten rows for every split, none of them in two splits."""


def write_mirror(folder: Path, files: Mapping[str, Rows | pa.Table]) -> Path:
    """Write a mirror.

    Args:
        folder: its root; made if it is not there.
        files: path below the root, without ``.parquet`` → rows or a table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / f"{name}.parquet")
    return folder
