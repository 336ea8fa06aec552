"""Entries as text: the Markdown page and the same numbers for scripts. Pure functions: same entries, same bytes."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from cme.leaderboard.board import check_comparable, is_reference, is_stale_entry, ranked
from cme.leaderboard.markdown import ABSENT, duration, millions, plus_minus, points, table
from cme.leaderboard.notes import changes_output, notes, remarks, unshared
from cme.leaderboard.paper import Paper, paper_section
from cme.records import Entry
from cme.suite import datasets
from cme.suite.families import title
from cme.suite.score import SCORER_VERSION

__all__ = ["render"]

_RANK_KEYS = ("rank", "r", "target_r")


def render(entries: Sequence[Entry], paper: Paper) -> dict[str, str]:
    """Render a leaderboard.

    Args:
        entries: in any order; none gives a page that says so.
        paper: the reported rows, shown in tables of their own.

    Returns:
        Text by file name: ``leaderboard.md`` and ``leaderboard.json``.

    Raises:
        UsageError: the entries cannot stand in one table.
    """
    check_comparable(entries)
    rows = ranked(entries)
    sections = ["# CME leaderboard\n"]
    sections += _sections(rows) if rows else ["There are no entries yet.\n"]
    sections.append(paper_section(paper))
    return {"leaderboard.md": "\n".join(sections), "leaderboard.json": _json(rows, paper)}


def _sections(rows: list[Entry]) -> list[str]:
    first = _typical(rows)
    shared = [
        f"Base {first.base} ({first.base_fingerprint[:12]})" if first.base else "No base",
        f"tier {first.tier}",
        f"prompt format {first.prompt_format or 'none'}",
        f"{first.shots} shots",
        f"source {first.source}",
        f"scorer version {SCORER_VERSION}",
    ]
    sections = [", ".join(shared) + ".\n", _main(rows), *(f"- {sentence}" for sentence in notes(rows))]
    sections += [
        "\n## Families\n",
        "Each family's score is the unweighted mean of its datasets × 100, ± its standard error.\n",
        _families(rows),
        "## Datasets\n",
        "Mean of the per-sample scores × 100, ± its cluster-robust standard error; n samples; chance: by guessing.\n",
        _datasets(rows),
    ]
    if different := unshared(rows):
        lines = [[condition, *(values.get(row.name, ABSENT) for row in rows)] for condition, values in different]
        sections += [
            "## What the rows do not share\n",
            "Recorded conditions of training and evaluation that are not the same for every row.\n",
            table(["condition", *(row.name for row in rows)], lines, text=range(len(rows) + 1)),
        ]
    return sections


def _typical(rows: list[Entry]) -> Entry:
    """The first row that is no reference: it has the base, format and shots of the table."""
    return next((row for row in rows if not is_reference(row)), rows[0])


def _main(rows: list[Entry]) -> str:
    header = [
        "name",
        "method",
        "rank",
        "experts",
        "trainable (M)",
        "trainable %",
        "train time",
        "datasets",
        "CME average",
        "chance-normalised",
        "without ROUGE",
        "remark",
    ]
    suite = datasets()
    lines = [
        [
            row.name,
            row.method,
            _text(_rank(row)),
            _text(row.settings.get("experts")),
            millions(row.cost.get("trainable_parameters")),
            points(row.cost.get("trainable_share")),
            duration(row.cost.get("wall_seconds")),
            f"{sum(item.dataset in suite for item in row.scores.datasets)} of {len(suite)}",
            plus_minus(row.scores.average, row.scores.average_stderr),
            points(row.scores.chance_normalised),
            points(row.scores.without_rouge),
            remarks(row),
        ]
        for row in rows
    ]
    return table(header, lines, text=(0, 1, 11))


def _families(rows: list[Entry]) -> str:
    header = ["name", *(title(item.family) for item in rows[0].scores.families)]
    return table(
        header, [[row.name, *(plus_minus(item.value, item.stderr) for item in row.scores.families)] for row in rows]
    )


def _datasets(rows: list[Entry]) -> str:
    lines = []
    for column, item in enumerate(rows[0].scores.datasets):
        cells = [row.scores.datasets[column] for row in rows]
        values = [plus_minus(100 * cell.value, None if cell.stderr is None else 100 * cell.stderr) for cell in cells]
        lines.append([item.dataset, item.metric, str(item.n), points(100 * item.chance), *values])
    return table(["dataset", "metric", "n", "chance", *(row.name for row in rows)], lines, text=(0, 1))


def _json(rows: list[Entry], paper: Paper) -> str:
    def row_values(row: Entry) -> dict[str, Any]:
        return {
            "name": row.name,
            "method": row.method,
            "rank": _rank(row),
            "experts": row.settings.get("experts"),
            "cost": row.cost,
            "scores": dataclasses.asdict(row.scores),
            "stale": is_stale_entry(row),
            "reference": is_reference(row),
            "changes_output": changes_output(row),
            "reported": False,
        }

    shared = ("base", "base_fingerprint", "tier", "prompt_format", "shots", "source")
    content = {
        "scorer_version": SCORER_VERSION,
        "shared": {key: getattr(_typical(rows), key) for key in shared} if rows else {},
        "notes": notes(rows) if rows else [],
        "rows": [row_values(row) for row in rows],
        "paper": dataclasses.asdict(paper),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _rank(row: Entry) -> int | None:
    """LoRA and the routed methods say ``r``; AdaLoRA ends at ``target_r``."""
    return next((row.settings[key] for key in _RANK_KEYS if row.settings.get(key) is not None), None)


def _text(value: Any) -> str:
    return ABSENT if value is None else str(value)
