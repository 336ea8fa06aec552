"""A row of the leaderboard."""

from typing import ClassVar

from cme.config import Items
from cme.records.base import Artefact, Record
from cme.records.cost import Cost, MeasuredRatios
from cme.records.grid import ChosenGrid
from cme.records.provenance import Provenance
from cme.records.result import Scores
from cme.records.settings import AdapterRecord, Recipe

__all__ = ["Entry", "EntryRun", "EntryWording"]


class EntryRun(Record):
    """One training run of a row with its evaluation; a base or a baseline has one, without training.

    Attributes:
        seed: of the training; None for a base or a baseline.
        scores: of this run alone, as in its result.
        samples_sha256: of ``samples/<entry>.<k>.parquet``, k the run's place in the entry, from 0.
        cost: of the training; empty for a base.
        provenance: where the rows come from, how the run was evaluated and how it was trained.
    """

    seed: int | None
    scores: Scores
    samples_sha256: str
    cost: Cost
    provenance: Provenance


class EntryWording(Record):
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


class Entry(Artefact):
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
        lr_grid: the learning-rate grid that the recipe's rate was chosen by; None: not given.
        cost_ratios: what the method costs relative to LoRA, measured by ``cme bench adapters``; empty: not given.
        scorer_version: of CME's scoring rules.
        task_fingerprints: of each dataset's YAML.
        items: SHA-256 of which samples were scored, the same for all runs and for all rows of a table.
        wordings: one of the runs, asked in other words: how far the wording of the prompt moves the average. By wording.
    """

    KIND: ClassVar[str] = "entry"
    SCHEMA_VERSION: ClassVar[int] = 2

    name: str
    method: str
    recipe: Recipe
    settings: AdapterRecord
    base: str
    base_fingerprint: str
    tier: str
    prompt_format: str
    shots: int
    source: str
    scores: Scores
    seed_stderr: float | None
    runs: Items[EntryRun]
    lr_grid: ChosenGrid | None
    cost_ratios: MeasuredRatios
    scorer_version: int
    task_fingerprints: dict[str, str]
    items: str
    wordings: Items[EntryWording] = ()
