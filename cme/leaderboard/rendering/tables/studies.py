"""Rows that differ in one thing only: TeamLoRA's parts, and the number of experts."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cme.leaderboard.entries.costs import cost_of, number, rank_of, total_rank, whole
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import ABSENT, duration, estimate, interval, p_value, points, ranks, shown
from cme.leaderboard.rendering.section import Section, make_table
from cme.records import Entry
from cme.records.method import with_gate_sum

__all__ = ["ablation_section", "experts_section"]

_PARTS = ("collaboration", "competition", "gate_sum")
_CHOSEN = ("learning_rate",)
"""Settings that a grid chooses for each row: rows may differ in them and are still compared."""


def ablation_section(standing: Standing) -> Section | None:
    """TeamLoRA rows that differ in ``collaboration``, ``competition`` and ``gate_sum`` alone."""
    rows = [replace(row, settings=with_gate_sum(row.settings)) for row in standing.rows if row.method == "teamlora"]
    groups = _groups(rows, _PARTS)
    lines: list[list[str]] = []
    for group in groups:
        plain = next(
            (row for row in group if not row.settings["collaboration"] and not row.settings["competition"]), None
        )
        lines += [_part_cells(standing, row, plain) for row in sorted(group, key=_switches)]
    if not lines:
        return None
    header = ["name", *_PARTS, "rank", "experts", "learning rate", "CME average", "ranks", "minus neither", "Holm p"]
    return Section(
        "Ablation",
        "TeamLoRA rows that differ in its parts alone. Minus neither: the paired difference from the row with neither part.",
        make_table([name.replace("_", " ") for name in header], lines),
    )


def experts_section(standing: Standing) -> Section | None:
    """Rows of one method that differ in the number of experts alone, at equal rank of one expert or of all."""
    lines: list[list[str]] = []
    routed = [
        replace(row, settings=with_gate_sum(row.settings))
        for row in standing.rows
        if whole(row.settings, "experts") is not None
    ]
    for what, free in (("rank of one", ("experts",)), ("total rank", ("experts", "rank", "alpha"))):
        for group in _groups(routed, free, total=what == "total rank"):
            if len({row.settings["experts"] for row in group}) < 2:
                continue
            lines += [_expert_cells(standing, row, what) for row in sorted(group, key=_experts)]
    if not lines:
        return None
    header = ["name", "method", "equal", "experts", "rank", "total rank", "trainable %", "train time"]
    return Section(
        "Experts",
        "Rows of one method that differ in the number of experts alone.",
        make_table([*header, "learning rate", "CME average", "ranks"], lines, text=(0, 1, 2)),
    )


def _part_cells(standing: Standing, row: Entry, plain: Entry | None) -> list[str]:
    return [
        row.name,
        *(shown(row.settings[part]) for part in _PARTS),
        shown(rank_of(row)),
        shown(row.settings.get("experts")),
        shown(row.recipe.get("learning_rate")),
        estimate(standing.averages[row.name]),
        ranks(standing.ranks.get(row.name)),
        *_difference(standing, row, plain),
    ]


def _expert_cells(standing: Standing, row: Entry, equal: str) -> list[str]:
    cost = cost_of(row)
    return [
        row.name,
        row.method,
        equal,
        shown(row.settings["experts"]),
        shown(rank_of(row)),
        shown(total_rank(row)),
        points(cost.trainable_percent),
        duration(cost.seconds),
        shown(row.recipe.get("learning_rate")),
        estimate(standing.averages[row.name]),
        ranks(standing.ranks.get(row.name)),
    ]


def _groups(rows: Sequence[Entry], free: Sequence[str], *, total: bool = False) -> list[list[Entry]]:
    """Rows, several each, that share method, recipe and settings apart from the free ones."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for row in rows:
        if any(name not in row.settings for name in free) or (total and _scale(row) is None):
            continue
        settings = {key: value for key, value in row.settings.items() if key not in free}
        recipe = {key: value for key, value in row.recipe.items() if key not in _CHOSEN}
        key: list[Any] = [row.method, sorted(settings.items()), sorted(recipe.items())]
        if total:
            key += [total_rank(row), _scale(row)]
        found[repr(key)].append(row)
    return [found[key] for key in sorted(found) if len(found[key]) > 1]


def _scale(row: Entry) -> float | None:
    alpha, rank = number(row.settings, "alpha"), number(row.settings, "rank")
    return None if alpha is None or not rank else alpha / rank


def _switches(row: Entry) -> tuple[Any, ...]:
    return (
        bool(row.settings["competition"]),
        bool(row.settings["collaboration"]),
        str(row.settings["gate_sum"]),
        row.name,
    )


def _experts(row: Entry) -> tuple[int, str]:
    return row.settings["experts"], row.name


def _difference(standing: Standing, row: Entry, other: Entry | None) -> list[str]:
    if standing.comparison is None or other is None or row is other:
        return [ABSENT, ABSENT]
    found = next(item for item in standing.comparison.against(other.name) if item.first == row.name)
    return [interval(found.value, found.low, found.high), p_value(found.p_adjusted)]
