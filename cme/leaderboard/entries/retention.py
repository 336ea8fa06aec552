"""Checks of the retention that an entry states, and its mean over the runs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cme.records import Entry, EntryRun, Retention
from cme.stats import clustered_stderr

__all__ = ["RowRetention", "RowValue", "retention_of", "retention_problems", "retention_problems_of"]

_TOLERANCE = 1e-9
"""Largest allowed difference between a recorded and a recomputed number; it covers the rounding of sums only."""


@dataclass(frozen=True)
class RowValue:
    """A mean over the runs of a row, with its standard error from texts and seeds."""

    value: float
    stderr: float


@dataclass(frozen=True)
class RowRetention:
    """The retention of a row.

    Attributes:
        drift: mean KL(base ‖ adapted) over the runs, in nats per token.
        drift_texts: first characters of the digests of the base's texts on which it was measured; several if the runs differ.
        loss: mean change of the loss over the runs, in nats per token; None if a run has none, or the runs had other texts.
        text: name and digest of the unrelated text; empty without ``loss``.
        remark: why there is no ``loss``.
    """

    drift: RowValue
    drift_texts: str
    loss: RowValue | None
    text: str
    remark: str


def retention_of(entry: Entry) -> RowRetention | None:
    """Return the retention of a row, or None unless all its runs have one."""
    runs = [run.retention for run in entry.runs if run.retention]
    if not runs or len(runs) < len(entry.runs):
        return None
    drift = _over_runs(
        [run.drift.value for run in runs],
        [run.drift.stderr for run in runs],
        [run.drift.texts for run in runs] if len({run.drift.texts_sha256 for run in runs}) == 1 else None,
    )
    own_texts = ", ".join(sorted({run.drift.texts_sha256[:12] for run in runs}))
    losses = [run.loss for run in runs if run.loss]
    texts = list(dict.fromkeys(f"{loss.text} ({loss.text_sha256[:12]})" for loss in losses))
    if len(losses) < len(runs) or len(texts) > 1:
        remark = next((run.remark for run in runs if run.remark), "") or "the runs were measured on different texts"
        return RowRetention(drift, own_texts, None, "", remark)
    changes = [[own - base for own, base in zip(loss.adapted, loss.base, strict=True)] for loss in losses]
    loss = _over_runs([item.value for item in losses], [item.stderr for item in losses], changes)
    return RowRetention(drift, own_texts, loss, texts[0], "")


def _over_runs(
    values: Sequence[float], stderrs: Sequence[float], by_text: Sequence[Sequence[float]] | None
) -> RowValue:
    """Return the mean over runs. Its variance is that over the texts plus that over the seeds.

    Runs with equal texts are correlated, so the variance over the texts is that of the means over the runs.
    """
    count = len(values)
    mean = sum(values) / count
    if by_text is not None and len({len(of_run) for of_run in by_text}) == 1:
        means = [sum(of_text) / count for of_text in zip(*by_text, strict=True)]
        of_texts = clustered_stderr(means, [str(place) for place in range(len(means))]) or 0.0
    else:
        of_texts = math.sqrt(sum(stderr**2 for stderr in stderrs)) / count
    of_seeds = sum((value - mean) ** 2 for value in values) / (count - 1) / count if count > 1 else 0.0
    return RowValue(mean, math.sqrt(of_texts**2 + of_seeds))


def retention_problems(entry: Entry) -> Iterator[str]:
    """List what is wrong with the retention of an entry, one phrase for each.

    Means and standard errors must follow from the values of the texts. Only an adapter, or a model that CME trained, has a
    retention, and it must have been compared with the base of the row.
    """
    for run in entry.runs:
        if (retention := run.retention) is not None:
            yield from (f"retention: {line}" for line in retention_problems_of(entry, run, retention))


def retention_problems_of(entry: Entry, run: EntryRun, retention: Retention) -> Iterator[str]:
    """List what is wrong with one retention, one phrase for each.

    Args:
        entry: the entry.
        run: the run whose adapter, or an export of it, was measured.
        retention: the retention.
    """
    if run.seed is None:
        yield "the row is not trained, so it has none"
    if run.provenance.evaluation.origin == "lm-eval":
        yield "lm-eval's logs do not contain it"
    if retention.base_fingerprint != entry.base_fingerprint:
        yield f"it was measured against another base ({retention.base_fingerprint[:12]!a})"
    yield from _mean_problems("drift", retention.drift.texts, retention.drift.value, retention.drift.stderr)
    if (loss := retention.loss) is None:
        return
    if len(loss.base) != len(loss.adapted):
        yield f"the loss has {len(loss.base)} windows of the base and {len(loss.adapted)} of the adapted model"
        return
    changes = [own - base for own, base in zip(loss.adapted, loss.base, strict=True)]
    yield from _mean_problems("loss", changes, loss.value, loss.stderr)


def _mean_problems(what: str, values: Sequence[float], mean: float, stderr: float) -> Iterator[str]:
    if len(values) < 2:
        yield f"{what} has {len(values)} texts, but at least 2 are needed"
        return
    computed = sum(values) / len(values)
    if not abs(mean - computed) <= _TOLERANCE:
        yield f"{what}.value is {mean:.12g}, recomputed {computed:.12g}"
    error = clustered_stderr(values, [str(place) for place in range(len(values))]) or 0.0
    if not abs(stderr - error) <= _TOLERANCE:
        yield f"{what}.stderr is {stderr:.12g}, recomputed {error:.12g}"
