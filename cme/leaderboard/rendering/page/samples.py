"""Single samples for the page: their ids and the score of every row, as far as they fit into the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cme.leaderboard.entries.board import samples_path
from cme.leaderboard.ranking.aligned_scores import read_columns
from cme.leaderboard.rendering.page.pack import quantised
from cme.records import Entry

__all__ = ["page_samples"]


_FRAME = 60
"""Bytes of the JSON syntax around the samples of one dataset."""


@dataclass(frozen=True, eq=False)
class _Scores:
    """Scores of one dataset: ids in the order of the file, and each row's mean score over its runs, [rows, n]."""

    ids: list[str]
    values: NDArray[np.float64]


def page_samples(entries: Sequence[Entry], entries_dir: Path, budget: int) -> dict[str, Any]:
    """Return the first samples of every dataset. They are in tier order, so any number of them represents the dataset.

    Args:
        entries: rows that share their samples.
        entries_dir: folder of the entries; the samples are in the folder ``samples`` beside it.
        budget: most bytes of the samples in the page.

    Returns:
        ``kept``: the number of samples of each dataset (None if all are kept). ``datasets``: for each dataset the ids, the
        total number and the scores (`quantised`, row by row).
    """
    if not entries:
        return {"kept": None, "datasets": {}}
    tables = _tables(entries, entries_dir)
    kept = _affordable(tables, budget)
    largest = max(len(table.ids) for table in tables.values())
    return {
        "kept": None if kept >= largest else kept,
        "datasets": {
            name: {"ids": table.ids[:kept], "total": len(table.ids), "scores": quantised(table.values[:, :kept])}
            for name, table in tables.items()
        },
    }


def _affordable(tables: dict[str, _Scores], budget: int) -> int:
    """Return the largest number of samples per dataset that fits; it may be 0."""
    budget -= sum(len(name) + _FRAME for name in tables)
    costs = np.zeros(max(len(table.ids) for table in tables.values()))
    for table in tables.values():
        # Base64 writes 4 characters for 3 bytes; an id needs two quotes and a comma.
        costs[: len(table.ids)] += [len(key) + 3 + 4 / 3 * len(table.values) for key in table.ids]
    return int(np.searchsorted(np.cumsum(costs), budget, side="right"))


def _tables(entries: Sequence[Entry], entries_dir: Path) -> dict[str, _Scores]:
    ids: dict[str, list[str]] = {}
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for entry in entries:
        runs: dict[str, list[NDArray[np.float64]]] = {}
        for run in range(len(entry.runs)):
            for name, (keys, _, values) in read_columns(samples_path(entries_dir, entry.name, run)).items():
                order = ids.setdefault(name, keys)
                if keys != order:
                    place = {key: k for k, key in enumerate(keys)}
                    values = values[[place[key] for key in order]]
                runs.setdefault(name, []).append(values)
        for name, scores in runs.items():
            rows.setdefault(name, []).append(np.mean(scores, axis=0))
    return {name: _Scores(keys, np.stack(rows[name])) for name, keys in ids.items()}
