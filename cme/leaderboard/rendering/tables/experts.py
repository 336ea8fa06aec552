"""Tables of what the experts of the routed rows do and are worth, and of what their routers are worth."""

from collections.abc import Mapping

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.expert_pairs import ExpertDifference, expert_differences
from cme.leaderboard.ranking.experts import OverSeeds, RowExperts, standing_experts
from cme.leaderboard.ranking.numbers import ABSENT, interval, listing, p_value
from cme.leaderboard.ranking.routers import standing_worth
from cme.leaderboard.rendering.section import Section, make_table

__all__ = ["differences_section", "in_use_section", "router_section"]

_COLUMNS = (
    "name",
    "method",
    "experts",
    "seeds",
    "effective experts",
    "entropy: % of ln k",
    "subjects: % of ln k",
    "p",
    "top 1: % of gain",
    "top 1 renormalised",
    "Spearman φ, Shapley",
)


_SCALE = {"entropy": 100}
"""Factors of figures in tables. The entropy / ln k is shown in per cent, as the information on the subject."""

_UNDEFINED = "undefined"


def in_use_section(standing: Standing) -> Section | None:
    """Make the table "Experts in use" of the rows with an analysis (``cme submit --analysis``)."""
    rows = standing_experts(standing)
    if not rows:
        return None
    methods = {row.name: row.method for row in standing.entries}
    return Section(
        "Experts in use",
        "The table shows how evenly the experts are used, and what they are worth (cme analyse). Rows with at least two analysed "
        "seeds show the mean and its 95 % interval over seeds. Other intervals are over samples, and describe one adapter.",
        make_table(_COLUMNS, [_cells(name, methods[name], row) for name, row in rows.items()], text=(0, 1)),
        (
            "Effective experts: exp of the entropy of the mean φ in a layer, from 1 to k, averaged over the layers. The entropy "
            "in % of ln k says how even the load is for any number k of experts: 100 % is even.",
            "Subjects: mutual information of expert and MMLU subject without its bias. The p is the largest of the seeds' "
            "permutation tests. A small p says that the router sees subjects, not that they matter much to it.",
            "Top 1: the share of the gain over the base that remains if every token uses the expert of its largest gate weight "
            "alone. Renormalised weights are scaled to the sum of all.",
            "Spearman: correlation of mean φ and Shapley values over pairs of dataset and expert, within datasets.",
            *_undefined(rows),
        ),
    )


_COMPARED = {
    "effective": "effective experts",
    "entropy": "entropy: % of ln k",
    "information": "subjects: % of ln k",
    "top1": "top 1: % of gain",
    "agreement": "Spearman φ, Shapley",
}
"""The figures of the table of differences. The Python API returns all of them."""


def differences_section(standing: Standing) -> Section | None:
    """Make the table of the differences between rows with at least two analysed seeds."""
    found: dict[tuple[str, str], dict[str, ExpertDifference]] = {}
    for item in expert_differences(standing):
        found.setdefault((item.first, item.second), {})[item.figure] = item
    shown = {figure: title for figure, title in _COMPARED.items() if any(figure in items for items in found.values())}
    if not shown:
        return None
    lines = [
        [first, second, *(_difference(items.get(figure), _SCALE.get(figure, 1)) for figure in shown)]
        for (first, second), items in found.items()
    ]
    return Section(
        "Experts in use: differences",
        "The table shows the first row minus the second one, with a 95 % interval over seeds (Welch). The p-value is of the same "
        "test, after Holm's correction over all pairs of the column. A few seeds show large differences only.",
        make_table(("first", "second", *shown.values()), lines, text=(0, 1)),
        ("Effective experts are compared between rows with equal numbers of experts only. The entropy compares all.",),
    )


def router_section(standing: Standing) -> Section | None:
    """Make the table "What the router is worth" of the rows with a measured export (``cme submit --export``)."""
    rows = standing_worth(standing)
    if not rows:
        return None
    methods = {row.name: row.method for row in standing.entries}
    drift = any(row.drift is not None for row in rows.values())
    header = ["name", "method", "seeds", "best export", "its rank", "CME average", "soft average"] + ["drift"] * drift
    lines = [
        [
            name,
            methods[name],
            _seeds(row.seeds, row.runs),
            row.best or ABSENT,
            ABSENT if row.rank is None else str(row.rank),
            _shown(row.average),
            _shown(row.soft),
            *([_shown(row.drift, digits=4)] if drift else []),
        ]
        for name, row in rows.items()
    ]
    return Section(
        "What the router is worth",
        "The table shows the routed adapter minus the best plain LoRA into which it was exported (cme export-lora), in points. "
        "All were evaluated on the same samples. A value near 0 means that a plain LoRA does as well. The interval of a row with "
        "one seed is over samples. Rows with several seeds show the one way of exporting that is best on average over them, and "
        "the mean with its 95 % interval over seeds. Both intervals contain the choice of the best export (Bonferroni)."
        + (" Drift: difference of the drift from the base, in nats per token." if drift else ""),
        make_table(header, lines, text=(0, 1, 3)),
    )


def _cells(name: str, method: str, row: RowExperts) -> list[str]:
    return [
        name,
        method,
        f"{row.experts} × {row.rank}",
        _seeds(row.seeds, row.runs),
        _shown(row.effective),
        _shown(row.entropy, scale=_SCALE["entropy"]),
        _shown(row.information),
        ABSENT if row.p is None else p_value(row.p),
        _UNDEFINED if row.undefined and row.top1 is None else _shown(row.top1),
        _UNDEFINED if row.undefined and row.top1_renormalised is None else _shown(row.top1_renormalised),
        _shown(row.agreement),
    ]


def _undefined(rows: Mapping[str, RowExperts]) -> list[str]:
    """Return the note about shares of the gain that are undefined."""
    names = [name for name, row in rows.items() if row.undefined]
    if not names:
        return []
    return [
        f"Undefined: the shares of {listing(names)}, because the interval of the gain over the base of at least one seed "
        "contains 0. Any share would then be possible."
    ]


def _difference(item: ExpertDifference | None, scale: int) -> str:
    if item is None:
        return ABSENT
    shown = interval(*_scaled(scale, item.value, item.low, item.high))
    return shown if item.p_adjusted is None else f"{shown}, p = {p_value(item.p_adjusted)}".replace("p = ≤", "p ≤")


def _seeds(seeds: int, runs: int) -> str:
    return str(seeds) if seeds == runs else f"{seeds} of {runs}"


def _scaled(
    scale: int, value: float, low: float | None, high: float | None
) -> tuple[float, float | None, float | None]:
    return scale * value, None if low is None else scale * low, None if high is None else scale * high


def _shown(item: OverSeeds | None, digits: int = 2, scale: int = 1) -> str:
    if item is None:
        return ABSENT
    if digits == 2:
        return interval(*_scaled(scale, item.value, item.low, item.high))
    value = f"{item.value:.{digits}f}"
    return (
        value if item.low is None or item.high is None else f"{value} [{item.low:.{digits}f}, {item.high:.{digits}f}]"
    )
