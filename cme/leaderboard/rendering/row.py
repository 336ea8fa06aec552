"""One row of the main table as plain values, from which its cells, the CSV file and the JSON file are made."""

from dataclasses import asdict, dataclass

from cme.leaderboard.entries.costs import RunRatio, cost_of, measured, rank_of, run_ratios
from cme.leaderboard.entries.retention import retention_of
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import rounded
from cme.leaderboard.rendering.notes import remarks
from cme.records import Entry

__all__ = ["Row", "make_rows"]


@dataclass(frozen=True)
class Row:
    """A row of the main table. Missing numbers are None.

    Attributes:
        name: name of the entry.
        kind: ``row``; ``repeat`` (the same trainings as another row, without a rank); ``reference`` (has no rank); ``partial`` (a
            baseline that answers only some of the datasets and has no average); or ``stale`` (scored by an older scorer version).
        method: adapter method, ``base``, or the name of a baseline.
        rank: rank of the adapter, or of one expert.
        experts: number of experts.
        trainable_parameters, trainable_percent: number of trainable parameters, and their share of the base's parameters.
        train_seconds: training time, the mean over the runs.
        train_run_ratio: recorded training time relative to that of the row ``train_run_reference``.
        train_run_reference: name of a LoRA row of the board.
        train_ratio, decode_ratio: cost relative to LoRA of equal total rank, measured by ``cme bench adapters``.
        average: CME average; ``average_low`` and ``average_high`` are the ends of its 95 % confidence interval.
        average_stderr: standard error of the average.
        rank_best, rank_worst: ends of the rank range.
        soft_average: soft average, with its interval, its standard error and the ends of its rank range.
        chance_normalised: average after every dataset's score was rescaled to (score − chance) / (1 − chance), with its
            interval.
        without_rouge: average without the summarization family, with its interval.
        drift, drift_stderr: mean KL(base ‖ adapted) on texts of the base, in nats per token, with its standard error.
        loss_change, loss_change_stderr: change of the loss on unrelated text, in nats per token, with its standard error.
        seeds: number of runs; None for a base or a baseline.
        seed_stderr: the part of the standard error that is due to the seeds; that of the other methods for a row with one seed.
        remark: remark on the row.
    """

    name: str
    kind: str
    method: str
    rank: int | None
    experts: int | None
    trainable_parameters: int | None
    trainable_percent: float | None
    train_seconds: float | None
    train_run_ratio: float | None
    train_run_reference: str
    train_ratio: float | None
    train_ratio_low: float | None
    train_ratio_high: float | None
    decode_ratio: float | None
    decode_ratio_low: float | None
    decode_ratio_high: float | None
    average: float | None
    average_stderr: float | None
    average_low: float | None
    average_high: float | None
    rank_best: int | None
    rank_worst: int | None
    soft_average: float | None
    soft_average_stderr: float | None
    soft_average_low: float | None
    soft_average_high: float | None
    soft_rank_best: int | None
    soft_rank_worst: int | None
    chance_normalised: float | None
    chance_normalised_low: float | None
    chance_normalised_high: float | None
    without_rouge: float | None
    without_rouge_low: float | None
    without_rouge_high: float | None
    drift: float | None
    drift_stderr: float | None
    loss_change: float | None
    loss_change_stderr: float | None
    seeds: int | None
    seed_stderr: float | None
    remark: str

    def plain(self) -> dict[str, object]:
        """Return the values by column, with rounded numbers."""
        return {key: rounded(value) if isinstance(value, float) else value for key, value in asdict(self).items()}


def make_rows(standing: Standing) -> list[Row]:
    """Make the rows of the main table. Repeats, references, partial baselines and stale rows come last."""
    ratios = run_ratios(standing.trainings)
    return [_row(entry, standing, *_run_ratio(ratios, entry.name)) for entry in standing.entries]


def _run_ratio(ratios: dict[str, RunRatio], name: str) -> tuple[float | None, str]:
    ratio = ratios.get(name)
    return (ratio.value, ratio.reference) if ratio else (None, "")


def _row(entry: Entry, standing: Standing, run_ratio: float | None, run_reference: str) -> Row:
    cost = cost_of(entry)
    train, train_low, train_high = measured(entry, "train") or (None, None, None)
    decode, decode_low, decode_high = measured(entry, "decode") or (None, None, None)
    average, plain = standing.averages.get(entry.name), standing.without_rouge.get(entry.name)
    normalised = standing.chance_normalised.get(entry.name)
    ranks, scores = standing.ranks.get(entry.name), standing.whole_scores(entry)
    soft = standing.soft.averages.get(entry.name) if standing.soft else None
    soft_ranks = standing.soft.ranks.get(entry.name) if standing.soft else None
    recorded = scores.soft if scores else None
    retention = retention_of(entry)
    loss = retention.loss if retention else None
    return Row(
        name=entry.name,
        kind=standing.kind(entry),
        method=entry.method,
        rank=rank_of(entry),
        experts=entry.settings.experts,
        trainable_parameters=cost.trainable,
        trainable_percent=cost.trainable_percent,
        train_seconds=cost.seconds,
        train_run_ratio=run_ratio,
        train_run_reference=run_reference,
        train_ratio=train,
        train_ratio_low=train_low,
        train_ratio_high=train_high,
        decode_ratio=decode,
        decode_ratio_low=decode_low,
        decode_ratio_high=decode_high,
        average=average.value if average else scores.average if scores else None,
        average_stderr=average.stderr if average else scores.average_stderr if scores else None,
        average_low=average.low if average else None,
        average_high=average.high if average else None,
        rank_best=ranks.best if ranks else None,
        rank_worst=ranks.worst if ranks else None,
        soft_average=soft.value if soft else recorded.average if recorded else None,
        soft_average_stderr=soft.stderr if soft else recorded.average_stderr if recorded else None,
        soft_average_low=soft.low if soft else None,
        soft_average_high=soft.high if soft else None,
        soft_rank_best=soft_ranks.best if soft_ranks else None,
        soft_rank_worst=soft_ranks.worst if soft_ranks else None,
        chance_normalised=scores.chance_normalised if scores else None,
        chance_normalised_low=normalised.low if normalised else None,
        chance_normalised_high=normalised.high if normalised else None,
        without_rouge=plain.value if plain else scores.without_rouge if scores else None,
        without_rouge_low=plain.low if plain else None,
        without_rouge_high=plain.high if plain else None,
        drift=retention.drift.value if retention else None,
        drift_stderr=retention.drift.stderr if retention else None,
        loss_change=loss.value if loss else None,
        loss_change_stderr=loss.stderr if loss else None,
        seeds=None if entry.runs[0].seed is None else len(entry.runs),
        seed_stderr=average.seed_stderr if average else entry.seed_stderr if scores else None,
        remark=remarks(entry, standing.repeated.get(entry.name)),
    )
