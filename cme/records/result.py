"""The result of an evaluation. Every number can be recomputed from the per-sample scores beside it."""

from typing import ClassVar

from pydantic import Field

from cme.config import Items
from cme.records.base import Artefact, Positive, Record

__all__ = ["AdapterInfo", "DatasetScore", "FamilyScore", "Result", "Scores"]


class DatasetScore(Record):
    """A dataset's score.

    Attributes:
        dataset: name.
        family: task family.
        metric: primary metric.
        n: samples.
        clusters: independent groups among them.
        value: mean of the per-sample primary scores, in [0, 1].
        stderr: its cluster-robust standard error; None at tier smoke.
        chance: mean of 1/options over the samples; 0 for free answers.
        metrics: means of all per-sample scores, and the corpus-level scores.
        parts: mean primary score per part, if there are several.
        diagnostics: counts. ``cut``: inputs shortened to fit the model. Free answers: ``truncated``, those that ran to the
            token limit, and ``empty``, those in which no answer was found (they score what an empty answer scores). Choice:
            ``answers``, how often each option was chosen, by its index.
    """

    dataset: str
    family: str
    metric: str
    n: int
    clusters: int
    value: float
    stderr: float | None
    chance: float
    metrics: dict[str, float]
    parts: dict[str, float]
    diagnostics: dict[str, int | dict[str, int]]


class FamilyScore(Record):
    """Unweighted mean of a family's datasets × 100, and its standard error."""

    family: str
    value: float
    stderr: float | None


class Scores(Record):
    """Everything that follows from the per-sample scores.

    Attributes:
        datasets: in the suite's order.
        families: in the suite's order.
        average: unweighted mean of the family scores: the CME average over what was run.
        average_stderr: its standard error; None at tier smoke.
        chance_normalised: the average with every dataset rescaled to (score − chance) / (1 − chance).
        without_rouge: the average without the summarization family; None if there is nothing else.
        complete: whether every dataset of the suite was run.
    """

    datasets: Items[DatasetScore]
    families: Items[FamilyScore]
    average: float
    average_stderr: float | None
    chance_normalised: float
    without_rouge: float | None
    complete: bool


class AdapterInfo(Record):
    """The evaluated adapter.

    Attributes:
        path: its folder as given; of a model in memory, the adapter's name there.
        method: PEFT type in small letters; empty where lm-eval's logs do not say it.
        fingerprint: SHA-256 of its configuration and weights.
        changes_output: whether it changes the base's output; None where lm-eval's logs do not say it.
    """

    path: str
    method: str
    fingerprint: str
    changes_output: bool | None


class Result(Artefact):
    """An evaluation of a base model or of an adapter on it.

    Attributes:
        name: short name for tables.
        base: as asked for; empty for a baseline.
        base_fingerprint: SHA-256 of configuration and weights; empty for a baseline.
        adapter: the adapter; None for the base itself.
        tier: smoke, quick, standard or full.
        prompt_format: plain, chat or teamlora.
        shots: examples in the prompt.
        source: hub, mini or the mirror's name.
        scores: the numbers.
        samples_sha256: of ``samples.parquet`` beside this file.
        scorer_version: of CME's scoring rules.
        task_fingerprints: of each dataset's YAML.
        provenance: per dataset, what pins the rows.
        missing: splits that the source lacks (only with --allow-missing).
        device: name of the device.
        dtype: of the weights.
        batch_size: choice requests per batch where lm-eval's own code answered; four times as many texts at once.
        threads: CPU threads; like ``batch_size``, None where lm-eval's logs do not say it.
        seconds: evaluation time per dataset, reading its rows and scoring included.
        versions: of the libraries.
        finished: UTC time, ISO 8601.
        baseline: the baseline that answered instead of a model; None: a model did.
        engines: per dataset, what computed the answers: ``prefix``, or ``hf`` (lm-eval's own code) and why. Empty in results
            from before there was a choice: ``hf``.
        tokens: per dataset, the tokens that the model computed (prompts, options, texts, the self-check; no padding), a
            prompt that several options share counted as often as it was computed. Empty for a baseline.
        tokens_per_second: per dataset, ``tokens`` / ``seconds``.
        wording: index of the instruction that every dataset was asked with; only results of 0 are compared with each other.
        origin: ``cme``: CME loaded the model from a base and an adapter. ``memory``: the model was in memory, and the
            fingerprints are those of its weights there. ``lm-eval``: imported from lm-eval's logs; the base is known by its
            name and lm-eval's own hash.
        tokenizer_fingerprint: SHA-256 of the base's tokenizer and of what ends its texts; with the format ``chat`` also of its
            chat template. Empty for a baseline, and in results from before it was recorded.
    """

    KIND: ClassVar[str] = "result"
    SCHEMA_VERSION: ClassVar[int] = 1

    name: str
    base: str
    base_fingerprint: str
    adapter: AdapterInfo | None
    tier: str
    prompt_format: str
    shots: int
    source: str
    scores: Scores
    samples_sha256: str
    scorer_version: int
    task_fingerprints: dict[str, str]
    provenance: dict[str, dict[str, str]]
    missing: Items[str]
    device: str
    dtype: str
    batch_size: int | None
    threads: Positive | None
    seconds: dict[str, float]
    versions: dict[str, str]
    finished: str
    baseline: str | None = None
    engines: dict[str, str] = Field(default_factory=dict)
    tokens: dict[str, int] = Field(default_factory=dict)
    tokens_per_second: dict[str, float] = Field(default_factory=dict)
    wording: int = 0
    origin: str = "cme"
    tokenizer_fingerprint: str = ""
