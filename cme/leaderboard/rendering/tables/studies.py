"""Tables of rows that differ in one setting: the ablation of TeamLoRA, and the number of experts."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from cme.leaderboard.entries.costs import cost_of, rank_of, scale_of, total_rank
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import ABSENT, duration, estimate, interval, p_value, points, ranks, shown
from cme.leaderboard.rendering.section import Section, make_table
from cme.records import Entry
from cme.records.method import with_gate_sum
from cme.records.settings import AdapterRecord

__all__ = ["ablation_section", "experts_section"]

_PARTS = ("collaboration", "competition", "gate_sum")
_CHOSEN = ("learning_rate",)
"""Settings that a grid chooses for each row. Rows that differ in them are still compared."""

_OF_SOFTMAX = (1, "free")
"""Sums of gate weights that mean the same without competition."""


def ablation_section(standing: Standing) -> Section | None:
    """TeamLoRA rows that differ in ``collaboration``, ``competition`` and ``gate_sum`` alone."""
    rows = [_with_gate_sum(row) for row in standing.rows if row.method == "teamlora"]
    groups = _groups(rows, _PARTS)
    lines: list[list[str]] = []
    for group in groups:
        lines += [_ablation_cells(standing, row, _plain(row, group)) for row in sorted(group, key=_switches)]
    if not lines:
        return None
    header = ["name", *_PARTS, "rank", "experts", "learning rate", "CME average"]
    header += ["rank range", "minus neither", "Holm p"]
    return Section(
        "Ablation",
        "These TeamLoRA rows differ only in which of the two modules are on, and in what the gate weights sum to. The learning "
        "rate is chosen for each row. The column minus neither shows the paired difference from the row with "
        "both modules off and the same sum.",
        make_table([name.replace("_", " ") for name in header], lines),
    )


def experts_section(standing: Standing) -> Section | None:
    """Make the table of rows of one method that differ in the number of experts, at equal rank of one expert or in total."""
    lines: list[list[str]] = []
    routed = [_with_gate_sum(row) for row in standing.rows if row.settings.experts is not None]
    for what, free in (("rank of one", ("experts",)), ("total rank", ("experts", "rank", "alpha"))):
        for group in _groups(routed, free, total=what == "total rank"):
            if len({row.settings.experts for row in group}) < 2:
                continue
            lines += [_expert_cells(standing, row, what) for row in sorted(group, key=_experts)]
    if not lines:
        return None
    header = ["name", "method", "equal", "experts", "rank", "total rank", "trainable %", "train time"]
    return Section(
        "Experts",
        "These rows of one method differ only in the number of experts. The learning rate is chosen for each row. The column "
        "equal states what they have in common: the rank of one expert, or the total rank.",
        make_table([*header, "learning rate", "CME average", "rank range"], lines, text=(0, 1, 2)),
    )


def _ablation_cells(standing: Standing, row: Entry, plain: Entry | None) -> list[str]:
    return [
        row.name,
        *(shown(getattr(row.settings, part)) for part in _PARTS),
        shown(rank_of(row)),
        shown(row.settings.experts),
        shown(row.recipe.learning_rate),
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
        shown(row.settings.experts),
        shown(rank_of(row)),
        shown(total_rank(row)),
        points(cost.trainable_percent),
        duration(cost.seconds),
        shown(row.recipe.learning_rate),
        estimate(standing.averages[row.name]),
        ranks(standing.ranks.get(row.name)),
    ]


def _groups(rows: Sequence[Entry], free: Sequence[str], *, total: bool = False) -> list[list[Entry]]:
    """Return groups of at least two rows that share method, recipe, mix, examples, seeds and settings except the free ones."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for row in rows:
        if any(name not in row.settings.model_fields_set for name in free) or (total and scale_of(row) is None):
            continue
        settings = {key: value for key, value in row.settings.plain().items() if key not in free}
        recipe = {key: value for key, value in row.recipe.plain().items() if key not in _CHOSEN}
        key: list[Any] = [row.method, sorted(settings.items()), sorted(recipe.items()), _trainings(row)]
        if total:
            key += [total_rank(row), scale_of(row)]
        groups[repr(key)].append(row)
    return [groups[key] for key in sorted(groups) if len(groups[key]) > 1]


def _trainings(row: Entry) -> list[str]:
    """Return what the runs of comparable rows share beside the recipe: the seeds, the mix, the examples and the processes."""
    runs = [(run.seed, run.provenance.training) for run in row.runs]
    return sorted(repr((seed, of.mix_fingerprint, of.examples, of.world_size)) for seed, of in runs)


def _plain(row: Entry, group: Sequence[Entry]) -> Entry | None:
    """Return the row of a group with both modules off and the same sum of the gate weights; None if there is none, or several.

    The gates of such a row are a softmax. It sums to 1, so ``free`` names the same function there. Of rows with several learning
    rates, the one with the same rate is taken.
    """
    off = [other for other in group if not other.settings.collaboration and not other.settings.competition]
    own = row.settings.gate_sum
    fitting = [other for other in off if other.settings.gate_sum == own]
    if not fitting and own in _OF_SOFTMAX:
        fitting = [other for other in off if other.settings.gate_sum in _OF_SOFTMAX]
    if len(fitting) > 1:
        fitting = [other for other in fitting if other.recipe.learning_rate == row.recipe.learning_rate]
    return fitting[0] if len(fitting) == 1 else None


def _with_gate_sum(row: Entry) -> Entry:
    settings = AdapterRecord.model_validate(with_gate_sum(row.settings.plain()))
    return row.model_copy(update={"settings": settings})


def _switches(row: Entry) -> tuple[bool, bool, str, str]:
    settings = row.settings
    return bool(settings.competition), bool(settings.collaboration), str(settings.gate_sum), row.name


def _experts(row: Entry) -> tuple[int, str]:
    return row.settings.experts or 0, row.name


def _difference(standing: Standing, row: Entry, other: Entry | None) -> list[str]:
    if standing.comparison is None or other is None or row is other:
        return [ABSENT, ABSENT]
    difference = next(item for item in standing.comparison.against(other.name) if item.first == row.name)
    return [interval(difference.value, difference.low, difference.high), p_value(difference.p_adjusted)]
