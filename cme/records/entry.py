"""A row of the leaderboard."""

from typing import ClassVar

from cme.config import Items, stored_as
from cme.records.base import Artefact, Record
from cme.records.cost import Cost, MeasuredRatios
from cme.records.experts import RouterWorth, RunExperts
from cme.records.grid import ChosenGrid
from cme.records.provenance import Provenance
from cme.records.result import Scores
from cme.records.retention import Retention
from cme.records.rows import RowSelection
from cme.records.settings import AdapterRecord, Recipe

__all__ = ["Entry", "EntryPromptVariant", "EntryRun"]


class EntryRun(Record):
    """One run of a row: its training and its evaluation. A base or a baseline has one run without training.

    Attributes:
        seed: seed of the training; None for a base or a baseline.
        scores: scores of this run, as in its result.
        samples_sha256: SHA-256 of ``samples/<entry>.<k>.parquet``, where k is the run's index in the entry, from 0.
        cost: cost of the training; empty for a base.
        provenance: origin of the rows, and how the run was evaluated and trained.
        retention: what the adapter changed of the base's old skill; None if it was not measured.
        experts: what its experts do and are worth; None if no analysis was submitted.
        router_worth: what its router is worth against plain LoRA; None if no export was submitted.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("retention", "experts", "router_worth")

    seed: int | None
    scores: Scores
    samples_sha256: str
    cost: Cost
    provenance: Provenance
    retention: Retention | None = None
    experts: RunExperts | None = None
    router_worth: RouterWorth | None = None


class EntryPromptVariant(Record):
    """The evaluation of one of a row's runs with another prompt variant of every instruction.

    Attributes:
        prompt_variant: index of the prompt variant, from 1.
        seed: seed of the run; None for a base.
        average: CME average.
        samples_sha256: SHA-256 of ``samples/<entry>.wording-<k>.parquet``.
    """

    prompt_variant: int = stored_as("wording")
    seed: int | None
    average: float
    samples_sha256: str


class Entry(Artefact):
    """One row: a method with its settings, trained with one or several seeds; or a base; or a baseline.

    Attributes:
        name: unique short name, which is also the name of its files.
        method: adapter method, ``base``, or the name of a baseline.
        recipe: the training settings that all runs share. Base, seed, paths, threads and checkpoint settings are left out.
            ``cme reproduce`` trains with ``recipe`` and ``settings``. Empty for a base.
        settings: the adapter's settings (method, rank, experts, …); empty for a base.
        base: name of the base model, as given.
        base_fingerprint: SHA-256 of configuration and weights; empty for a baseline.
        tier: smoke, quick, standard or full.
        prompt_format: plain, chat or teamlora; empty for a baseline.
        shots: number of examples in the prompt.
        source: hub, mini or the mirror's name.
        scores: means over the runs; counts in the diagnostics are sums. The standard errors come from the samples and, with
            several seeds, also from the seeds.
        seed_stderr: the part of the average's standard error that is due to the seeds. None at tier smoke, and with one seed,
            where the standard error describes this run and not the method.
        runs: the runs, sorted by seed.
        lr_grid: the learning-rate grid from which the recipe's rate was chosen; None if it was not given.
        cost_ratios: costs relative to LoRA, measured by ``cme bench adapters``; empty if they were not given.
        scorer_version: version of CME's scoring rules.
        task_fingerprints: fingerprint of each dataset's YAML.
        items: SHA-256 of the ids of the scored samples. It is equal for all runs and for all rows of a board.
        prompt_variants: one of the runs, evaluated with other prompt variants; sorted by prompt variant.
        rows: how the rows were chosen, if they are not simply those of the tier. All rows of a board share them. ``reached`` is
            that of the run whose scores chose them; None if no run of this row did.
        ranks: to which experts the ranks of a method of another package belong, as in `Run.ranks`.
    """

    KIND: ClassVar[str] = "entry"
    SCHEMA_VERSION: ClassVar[int] = 2
    LEFT_OUT: ClassVar[tuple[str, ...]] = ("rows", "ranks")

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
    prompt_variants: Items[EntryPromptVariant] = stored_as("wordings", default=())
    rows: RowSelection | None = None
    ranks: str | None = None
