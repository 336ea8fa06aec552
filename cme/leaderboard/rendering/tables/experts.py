"""The table of what the experts of the routed rows do and are worth."""

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.experts import OverSeeds, RowExperts, standing_experts
from cme.leaderboard.ranking.numbers import ABSENT, interval, p_value
from cme.leaderboard.rendering.section import Section, make_table

__all__ = ["in_use_section"]

_COLUMNS = (
    "name",
    "method",
    "experts",
    "seeds",
    "effective experts",
    "subjects: % of ln k",
    "p",
    "top 1: % of gain",
    "top 1 renormalised",
    "Spearman φ, Shapley",
)


def in_use_section(standing: Standing) -> Section | None:
    """Make the table "Experts in use" of the rows with an analysis (``cme submit --analysis``)."""
    rows = standing_experts(standing)
    if not rows:
        return None
    methods = {row.name: row.method for row in standing.rows}
    return Section(
        "Experts in use",
        "The table shows how evenly the experts are used, and what they are worth (cme analyse). Rows with at least two analysed "
        "seeds show the mean and its 95 % interval over seeds. Other intervals are over samples, and describe one adapter.",
        make_table(_COLUMNS, [_cells(name, methods[name], row) for name, row in rows.items()], text=(0, 1)),
        (
            "Effective experts: exp of the entropy of the mean φ in a layer, from 1 to k, averaged over the layers.",
            "Subjects: mutual information of expert and MMLU subject without its bias. The p is the largest of the seeds' "
            "permutation tests. A small p says that the router sees subjects, not that they matter much to it.",
            "Top 1: the share of the gain over the base that remains if every token uses the expert of its largest gate weight "
            "alone. Renormalised weights are scaled to the sum of all.",
            "Spearman: correlation of mean φ and Shapley values over pairs of dataset and expert, within datasets.",
        ),
    )


def _cells(name: str, method: str, row: RowExperts) -> list[str]:
    return [
        name,
        method,
        f"{row.experts} × {row.rank}",
        str(row.seeds) if row.seeds == row.runs else f"{row.seeds} of {row.runs}",
        _shown(row.effective),
        _shown(row.information),
        ABSENT if row.p is None else p_value(row.p),
        _shown(row.top1),
        _shown(row.top1_renormalised),
        _shown(row.agreement),
    ]


def _shown(item: OverSeeds | None) -> str:
    return ABSENT if item is None else interval(item.value, item.low, item.high)
