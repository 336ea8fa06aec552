"""A row of the leaderboard."""

from dataclasses import dataclass
from typing import Any, ClassVar

from cme.records.result import Scores

__all__ = ["Entry", "EntryRun", "EntryWording"]


@dataclass(frozen=True)
class EntryRun:
    """One training run of a row with its evaluation; a base or a baseline has one, without training.

    Attributes:
        seed: of the training; None for a base or a baseline.
        scores: of this run alone, as in its result.
        samples_sha256: of ``samples/<entry>.<k>.parquet``, k the run's place in the entry, from 0.
        cost: of the training: trainable_parameters, saved_parameters, base_parameters, trainable_share, wall_seconds,
            tokens_per_second, peak_memory_bytes, steps, tokens, device; empty for a base.
        provenance: ``data`` (what pins the rows), ``missing``, ``evaluation`` (device, dtype, threads, versions); of a trained
            one also ``adapter`` (fingerprint, whether it changes the output) and ``training`` (mix_fingerprint, what the mix
            was built with, world_size, validation_loss, versions).
    """

    seed: int | None
    scores: Scores
    samples_sha256: str
    cost: dict[str, Any]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class EntryWording:
    """One of a row's runs, evaluated with a paraphrase of every instruction.

    Attributes:
        wording: index of the instruction, from 1.
        seed: of the run; None for a base.
        average: the CME average.
        samples_sha256: of ``samples/<entry>.wording-<k>.parquet``.
    """

    wording: int
    seed: int | None
    average: float
    samples_sha256: str


@dataclass(frozen=True)
class Entry:
    """One row: a method with its settings, trained with one seed or several, or a base, or a baseline.

    Attributes:
        name: unique short name; also the name of its file and of its samples.
        method: adapter method, ``base``, or the name of a baseline.
        recipe: the training settings that all runs share, without base, seed, places of files, threads, and what is kept
            while training; with ``settings`` it is what ``cme reproduce`` trains again. Empty for a base.
        settings: the adapter's settings (method, rank, experts, …); empty for a base.
        base: as asked for.
        base_fingerprint: SHA-256 of configuration and weights; empty for a baseline.
        tier: smoke, quick, standard or full.
        prompt_format: plain, chat or teamlora; empty for a baseline.
        shots: examples in the prompt.
        source: hub, mini or the mirror's name.
        scores: means over the runs (counts in the diagnostics: sums); standard errors from samples and, with several seeds,
            from seeds.
        seed_stderr: the part of the average's standard error that is due to the seeds; None with one seed, where the error is
            about this run and not about the method, and at tier smoke.
        runs: by seed.
        lr_grid: the learning-rate grid that the recipe's rate was chosen by (`cme.records.Grid` as a mapping, with
            ``at_edge``); None: not given.
        cost_ratios: measured by ``cme bench adapters``: ``train``, ``prefill``, ``decode``, ``memory`` (of training), each
            {value, low, high} relative to LoRA of equal total rank (low and high None without an interval), and what they
            were measured on: base, total_rank, rounds, device, hardware, threads, dtype, command; empty: not given.
        scorer_version: of CME's scoring rules.
        task_fingerprints: of each dataset's YAML.
        items: SHA-256 of which samples were scored, the same for all runs and for all rows of a table.
        wordings: one of the runs, asked in other words: how far the wording of the prompt moves the average. By wording.
    """

    KIND: ClassVar[str] = "entry"
    SCHEMA_VERSION: ClassVar[int] = 2

    name: str
    method: str
    recipe: dict[str, Any]
    settings: dict[str, Any]
    base: str
    base_fingerprint: str
    tier: str
    prompt_format: str
    shots: int
    source: str
    scores: Scores
    seed_stderr: float | None
    runs: tuple[EntryRun, ...]
    lr_grid: dict[str, Any] | None
    cost_ratios: dict[str, Any]
    scorer_version: int
    task_fingerprints: dict[str, str]
    items: str
    wordings: tuple[EntryWording, ...] = ()
