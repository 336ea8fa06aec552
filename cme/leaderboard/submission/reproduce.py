"""Comparison of a row with its reproduction, which was trained and evaluated again."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.scores import check_hash, check_scores, items_digest
from cme.leaderboard.ranking.aligned_scores import Columns, columns_of, panel_of
from cme.leaderboard.ranking.comparison import read_runs
from cme.leaderboard.submission.steps import source_argument
from cme.records import Artefact, Entry, Result, read_record
from cme.records.samples import read_samples
from cme.stats import average_weights, compare
from cme.suite import datasets, selection
from cme.suite.score import SCORER_VERSION
from cme.suite.suites import ALL

__all__ = ["Reproduction", "build_command", "check_repeatable", "compare_again"]


class Reproduction(Artefact):
    """A row and its reproduction.

    Attributes:
        name: name of the row.
        seed: seed of the new training; None for a base or a baseline.
        average: CME average of the reproduction.
        row_average: CME average of the row, the mean over its runs.
        difference: the reproduction minus the row, in points.
        low: lower end of the difference's 95 % confidence interval. None at tier smoke, and if a dataset has one cluster.
        high: upper end of the interval.
        inside: whether the interval contains 0; None without an interval.
        samples: number of scored samples.
        changed: number of samples whose score differs from that in the row's run of the same seed; None without such a run.
        same_adapter: whether the adapter is bitwise identical to that of the same run; None without such a run, and for a base
            or a baseline.
    """

    KIND: ClassVar[str] = "reproduction"
    SCHEMA_VERSION: ClassVar[int] = 1

    name: str
    seed: int | None
    average: float
    row_average: float
    difference: float
    low: float | None
    high: float | None
    inside: bool | None
    samples: int
    changed: int | None
    same_adapter: bool | None

    @property
    def verdict(self) -> str:
        """The outcome of the comparison in words."""
        if self.changed == 0:
            return f"bitwise identical: all {self.samples} samples have the scores of the row"
        if self.inside is None:
            return "no verdict, because this tier or these datasets have no standard error"
        return "within the row's error bar" if self.inside else "outside the row's error bar"


def check_repeatable(entry: Entry, seed: int | None) -> int | None:
    """Return the seed with which to train a row again, after checking that this CME can reproduce the row.

    Args:
        entry: the row.
        seed: the requested seed; None for the row's first one.

    Raises:
        UsageError: the row was evaluated by lm-eval, with another scorer version or with other task files, or a seed was given
            for a base.
    """
    if any(run.provenance.evaluation.origin == "lm-eval" for run in entry.runs):
        raise UsageError(
            f"entry {entry.name!r} was imported from lm-eval's logs, which do not contain the fingerprint of the base. Evaluate "
            "the model with cme.evaluate and compare the two results."
        )
    if entry.scorer_version != SCORER_VERSION:
        raise UsageError(
            f"entry {entry.name!r} has scorer version {entry.scorer_version}, and this CME has version {SCORER_VERSION}, which "
            "gives other scores. Reproduce the entry with the version of CME that made it."
        )
    known = {name: spec.fingerprint for name, spec in datasets(ALL, beside=True).items()}
    scored = [item.dataset for item in entry.scores.datasets]
    if changed := [name for name in scored if entry.task_fingerprints.get(name) != known.get(name, "")]:
        raise UsageError(
            f"entry {entry.name!r} was evaluated with other task files of {', '.join(changed)} than those of this CME. "
            "Reproduce the entry with the version of CME that made it."
        )
    first = entry.runs[0].seed
    if first is None and seed is not None:
        raise UsageError(f"entry {entry.name!r} was not trained and has no seed. Leave --seed out.")
    return first if seed is None else seed


def build_command(entry: Entry) -> str | None:
    """Return the command that builds the mix of a row, or None if the entry does not record its mix.

    The command can be copied into a shell, because all values from the entry are quoted.
    """
    mix = entry.runs[0].provenance.training.mix
    if not mix:
        return None
    words: list[object] = ["cme", "build-data", "--source", source_argument(mix.source or "hub"), "--seed", mix.seed]
    words += ["--size", mix.size] if mix.size else []
    for value, option, default in (
        (mix.mixing, "--mixing", "proportional"),
        (mix.temperature, "--temperature", None),
        (mix.paraphrase_share, "--prompt-variant-share", 0.5),
        (mix.layout, "--format", "alpaca"),
        (mix.rows_per_shard, "--rows-per-shard", 100_000),
    ):
        words += [option, value] if value not in (default, None) else []
    words += ["--no-decontamination"] if mix.gate is False else []
    share = mix.validation_share
    if share is None:
        share = 0 if mix.validation_rows == 0 else 0.005
    words += [] if share == 0.005 else ["--validation-share", share]
    words += ["--licence", ",".join(mix.uses)] if mix.uses is not None else []
    words += ["--allow-missing"] if mix.allow_missing else []
    words += selection(mix.datasets) if mix.datasets else []
    return shlex.join(map(str, [*words, "--out", "mix/"]))


def compare_again(
    entry: Entry, entries_dir: Path, result_dir: Path, *, seed: int | None, adapter: str | None, resamples: int = 10_000
) -> Reproduction:
    """Compare a new evaluation with a row, sample by sample.

    The interval is that of the paired difference between the new run and the row's mean (`cme.stats.compare`). The new run has
    the seed variance of the row's runs. For a row with one seed the seed variance is unknown and not included.

    Args:
        entry: the row.
        entries_dir: folder of the entries.
        result_dir: folder of the new evaluation.
        seed: seed of the new training.
        adapter: fingerprint of the new adapter.
        resamples: number of resamples of the bootstrap.

    Raises:
        CMEError: the row's samples are not the entry's, or other samples were scored.
    """
    result = read_record(result_dir / "result.json", Result)
    check_hash(result_dir / "samples.parquet", result.samples_sha256, f"result {result_dir}")
    samples = read_samples(result_dir / "samples.parquet")
    check_scores(result.scores, samples, tier=result.tier, where=f"result {result_dir}")
    if items_digest(samples) != entry.items:
        raise CMEError(
            f"the scored samples are not those of entry {entry.name!r}, because the source has other rows. Evaluate on the row's "
            f"source ({entry.source}) in the version that the entry's provenance records."
        )
    new, own = columns_of(samples), read_runs(entry, entries_dir)
    same = next((k for k, run in enumerate(entry.runs) if run.seed == seed), None)
    known = {item.dataset: item.family for item in entry.scores.datasets if item.dataset in datasets(ALL)}
    low, high = _interval(entry, new, own, known, resamples) if entry.tier != "smoke" else (None, None)
    before = None if same is None else entry.runs[same].provenance.adapter.fingerprint
    return Reproduction(
        name=entry.name,
        seed=seed,
        average=result.scores.average,
        row_average=entry.scores.average,
        difference=result.scores.average - entry.scores.average,
        low=low,
        high=high,
        inside=None if low is None or high is None else low <= 0 <= high,
        samples=len(samples),
        changed=None if same is None else _changed(new, own[same]),
        same_adapter=None if before is None else before == adapter,
    )


def _interval(
    entry: Entry, new: Columns, own: Sequence[Columns], families: dict[str, str], resamples: int
) -> tuple[float | None, float | None]:
    untrained = ["again", "row"] if entry.runs[0].seed is None else []
    panel = panel_of({"again": [new], "row": own}, untrained=untrained)
    if any(len(sizes) < 2 for name, sizes in zip(panel.datasets, panel.sizes, strict=True) if name in families):
        return None, None
    difference = compare(panel, average_weights(families), resamples=resamples).differences[0]
    return difference.low, difference.high


def _changed(new: Columns, old: Columns) -> int:
    """Count the samples whose score is not bitwise identical."""
    changed = 0
    for name, (ids, _, values) in new.items():
        before: dict[str, Any] = dict(zip(*old[name][::2], strict=True))
        changed += sum(bool(value != before[key]) for key, value in zip(ids, values, strict=True))
    return changed
