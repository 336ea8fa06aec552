"""What the experts of a row do and are worth, over the seeds of the row.

Expert 0 of one seed has nothing to do with expert 0 of another, so only figures without the number of an expert are averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import rounded
from cme.records import Entry, GateAgreement, RunExperts, Share

__all__ = [
    "COLUMNS",
    "FIGURES",
    "Figure",
    "OverSeeds",
    "RowExperts",
    "expert_columns",
    "expert_values",
    "over_seeds",
    "row_experts",
    "seed_figures",
    "share_percent",
    "standing_experts",
]


@dataclass(frozen=True)
class OverSeeds:
    """A figure of a row.

    Attributes:
        value: mean over the seeds, or the value of the only seed.
        low: lower end of the 95 % interval: over seeds with at least two of them, and over samples otherwise; None if unknown.
        high: upper end of the interval.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class RowExperts:
    """The experts of a row. Figures that an analysis lacks, or that are undefined, are None.

    Attributes:
        experts: number of experts, k.
        rank: rank of each expert.
        seeds: number of seeds with an analysis.
        runs: number of seeds of the row.
        effective: effective number of experts.
        entropy: entropy of the mean φ / ln k.
        confident: share of tokens with a φ above 0.9, in per cent.
        information: mutual information of expert and MMLU subject without its bias, in per cent of ln k.
        p: largest p-value of the seeds' tests of whether the load depends on the subject.
        top1: share of the gain over the base that top 1 per token keeps, in per cent.
        top1_renormalised: the same with gate weights that are scaled to their sum.
        single: share of the gain that one expert keeps for all tokens, in per cent: the best one of each seed. It was chosen on
            the same samples, so it is rather too high, and has no interval over samples.
        top1_score: share of the score that top 1 per token keeps, in per cent.
        top1_renormalised_score: the same with gate weights that are scaled to their sum.
        single_score: share of the score that the best expert of each seed keeps, in per cent.
        undefined: whether the shares of the gain are undefined for at least one seed, because the interval of its gain over the
            base contains 0. They are then None.
        agreement: Spearman's correlation of mean φ and Shapley values.
        soft_agreement: the same for soft scores.
    """

    experts: int
    rank: int
    seeds: int
    runs: int
    effective: OverSeeds | None
    entropy: OverSeeds | None
    confident: OverSeeds | None
    information: OverSeeds | None
    p: float | None
    top1: OverSeeds | None
    top1_renormalised: OverSeeds | None
    single: OverSeeds | None
    top1_score: OverSeeds | None
    top1_renormalised_score: OverSeeds | None
    single_score: OverSeeds | None
    agreement: OverSeeds | None
    soft_agreement: OverSeeds | None
    undefined: bool


FIGURES = (
    "effective",
    "entropy",
    "confident",
    "information",
    "top1",
    "top1_renormalised",
    "single",
    "top1_score",
    "top1_renormalised_score",
    "single_score",
    "agreement",
    "soft_agreement",
)
"""The fields of `RowExperts` that have an interval."""


def expert_columns() -> list[str]:
    """Return the names of the columns that hold the figures of `RowExperts`."""
    return list(expert_values(None))


def expert_values(row: RowExperts | None) -> dict[str, float | int | None]:
    """Return the figures of a row by column, rounded to six decimals. All are None without an analysis."""
    values: dict[str, float | int | None] = {
        "analysed_seeds": row.seeds if row else None,
        "subject_p": rounded(row.p) if row else None,
    }
    for name in FIGURES:
        item: OverSeeds | None = getattr(row, name) if row else None
        label = COLUMNS.get(name, name)
        values |= {label: rounded(item.value) if item else None}
        values |= {f"{label}_{end}": rounded(getattr(item, end)) if item else None for end in ("low", "high")}
    return values


COLUMNS = {
    "effective": "effective_experts",
    "entropy": "load_entropy",
    "confident": "confident_percent",
    "information": "subject_information_percent",
    "top1": "top1_percent_of_gain",
    "top1_renormalised": "top1_renormalised_percent_of_gain",
    "single": "best_expert_percent_of_gain",
    "top1_score": "top1_percent_of_score",
    "top1_renormalised_score": "top1_renormalised_percent_of_score",
    "single_score": "best_expert_percent_of_score",
    "agreement": "phi_shapley_spearman",
    "soft_agreement": "phi_soft_shapley_spearman",
}
"""Names of the columns in files and data frames."""


def standing_experts(standing: Standing) -> dict[str, RowExperts]:
    """Return the experts of the ranked rows that have an analysis, by the name of the row."""
    rows = {row.name: row_experts(row) for row in standing.shown}
    return {name: experts for name, experts in rows.items() if experts is not None}


def row_experts(entry: Entry) -> RowExperts | None:
    """Return the experts of a row; None without an analysis."""
    runs = [run.experts for run in entry.runs if run.experts is not None]
    if not runs:
        return None
    tests = [run.load.information for run in runs if run.load is not None and run.load.information is not None]
    figures = seed_figures(entry)
    return RowExperts(
        experts=runs[0].experts,
        rank=runs[0].rank,
        seeds=len(runs),
        runs=len(entry.runs),
        p=max((test.p for test in tests), default=None),
        undefined=any(value is None for name in _SHARES for value, _, _ in figures[name]),
        **{name: over_seeds(items) for name, items in figures.items()},
    )


def seed_figures(entry: Entry) -> dict[str, list["Figure"]]:
    """Return each figure of `RowExperts` that has an interval, for every analysed seed that has its part of the analysis."""
    runs = [run.experts for run in entry.runs if run.experts is not None]
    loads = [run.load for run in runs if run.load is not None]
    tests = [load.information for load in loads if load.information is not None]
    shapley = [run.shapley for run in runs if run.shapley is not None]
    return {
        "effective": [(load.effective, None, None) for load in loads],
        "entropy": [(load.entropy, None, None) for load in loads],
        "confident": [(100 * load.confident, None, None) for load in loads],
        "information": [(100 * test.share, None, None) for test in tests],
        **{name: _shares(runs, mask, entry.tier) for name, mask in _SHARES.items()},
        "single": _single(runs, "share_of_gain", entry.tier),
        **{f"{name}_score": _shares(runs, mask, entry.tier, "share_of_score") for name, mask in _SHARES.items()},
        "single_score": _single(runs, "share_of_score", entry.tier),
        "agreement": [_correlation(item.agreement) for item in shapley],
        "soft_agreement": [_correlation(item.soft_agreement) for item in shapley],
    }


Figure = tuple[float | None, float | None, float | None]
"""A value with the ends of its interval over samples."""


_SHARES = {"top1": "top1", "top1_renormalised": "top1-renormalised"}
"""The figures that are shares of the gain over the base, with the name of their evaluation."""


def share_percent(share: Share, tier: str) -> Figure:
    """Return a share of the gain in per cent. Its value is None if the share is undefined.

    A gain that cannot be told from 0 gives a share of any size. Such a share has no interval (Fieller).

    Args:
        share: the share.
        tier: tier of its evaluations. Shares of tier smoke have no intervals, so only a gain of 0 makes them undefined.
    """
    if tier != "smoke" and (share.low is None or share.high is None):
        return None, None, None
    value, low, high = (None if item is None else 100 * item for item in (share.value, share.low, share.high))
    return value, low, high


def over_seeds(items: Sequence[Figure], alpha: float = 0.05) -> OverSeeds | None:
    """Return the mean with Student's interval over the seeds. None if the figure is undefined for a seed.

    Args:
        items: the figure of each seed, with its interval over samples, which is kept if there is a single seed.
        alpha: one minus the level of the interval over seeds.
    """
    values = [value for value, _, _ in items if value is not None]
    if not values or len(values) < len(items):
        return None
    count, mean = len(values), sum(values) / len(values)
    if count == 1:
        return OverSeeds(mean, *items[0][1:])
    from scipy.special import stdtrit

    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    half = float(stdtrit(count - 1, 1 - alpha / 2)) * (variance / count) ** 0.5
    return OverSeeds(mean, mean - half, mean + half)


def _shares(runs: Sequence[RunExperts], name: str, tier: str, of: str = "share_of_gain") -> list[Figure]:
    """Return the shares of the gain, or of the score, in per cent that an evaluation keeps in each run."""
    shares = [getattr(item, of)["average"] for run in runs for item in run.redundancy if item.name == name]
    return [share_percent(share, tier) for share in shares]


def _single(runs: Sequence[RunExperts], of: str, tier: str) -> list[Figure]:
    """Return what the best expert of each run keeps for all tokens, in per cent."""
    found: list[Figure] = []
    for run in runs:
        names = [f"keep-{expert}" for expert in range(run.experts)]
        alone = [item for item in run.redundancy if item.name in names]
        if len(alone) == run.experts:
            best = max(alone, key=lambda item: item.score["average"].value)
            # The interval of the best one of several would have to contain the choice.
            found.append((share_percent(getattr(best, of)["average"], tier)[0], None, None))
    return found


def _correlation(item: GateAgreement | None) -> Figure:
    return (None, None, None) if item is None else (item.value, item.low, item.high)
