"""The result of an evaluation. Every number follows from the per-sample scores, which lie beside it."""

from typing import ClassVar

from pydantic import Field

from cme.config import Items, stored_as
from cme.records.base import Artefact, Positive, Record
from cme.records.retention import Retention
from cme.records.rows import RowSelection

__all__ = ["AdapterInfo", "DatasetScore", "FamilyScore", "Result", "Scores", "SoftDatasetScore", "SoftScores"]


class DatasetScore(Record):
    """The score of one dataset.

    Attributes:
        dataset: name of the dataset.
        family: task family.
        metric: primary metric.
        n: number of samples.
        clusters: number of independent clusters of samples.
        value: mean of the per-sample primary scores, in [0, 1].
        stderr: its cluster-robust standard error; None at tier smoke.
        chance: mean of 1/options over the samples; 0 for free-text answers.
        metrics: means of all per-sample scores, and the corpus-level scores.
        subsets: mean primary score of each subset; empty if the dataset has a single one.
        diagnostics: counts. ``cut`` counts inputs that were shortened to fit the model. For free-text answers, ``truncated``
            counts those that reached the token limit (absent if that is unknown), and ``empty`` those without an answer, which
            are scored as an empty text. For worked solutions, ``unmarked`` counts those whose number does not follow ``####``.
            For choice datasets, ``answers`` counts how often each option was chosen, by its index.
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
    subsets: dict[str, float] = stored_as("parts")
    diagnostics: dict[str, int | dict[str, int]]


class FamilyScore(Record):
    """The score of one family: the unweighted mean of its datasets × 100, with its standard error."""

    family: str
    value: float
    stderr: float | None


class SoftDatasetScore(Record):
    """The soft score of one dataset.

    Attributes:
        dataset: name of the dataset.
        value: mean of the per-sample soft scores, in [0, 1].
        stderr: its cluster-robust standard error; None at tier smoke.
    """

    dataset: str
    value: float
    stderr: float | None


class SoftScores(Record):
    """Soft scores: the probability of the right option counts in place of whether it was chosen.

    The soft score of a sample of a choice dataset is the probability of the right option under a softmax over the options, from
    the same log-probabilities from which the option is chosen. That of a free-text answer is its primary score.

    Attributes:
        datasets: mean soft score of each dataset, in the suite's order.
        families: unweighted means of the datasets × 100, in the suite's order.
        average: soft average: the unweighted mean of the families that were run.
        average_stderr: its standard error; None at tier smoke.
    """

    datasets: Items[SoftDatasetScore]
    families: Items[FamilyScore]
    average: float
    average_stderr: float | None


class Scores(Record):
    """All scores of a result, computed from the per-sample scores.

    Attributes:
        datasets: dataset scores, in the suite's order.
        families: family scores, in the suite's order.
        average: CME average: the unweighted mean of the scores of the families that were run.
        average_stderr: its standard error; None at tier smoke.
        chance_normalised: the average after every dataset's score was rescaled to (score − chance) / (1 − chance).
        without_rouge: the average without the summarization family; None if no other family was run.
        complete: whether every dataset of the suite was run.
        soft: the soft scores; None in files of earlier versions.
    """

    datasets: Items[DatasetScore]
    families: Items[FamilyScore]
    average: float
    average_stderr: float | None
    chance_normalised: float
    without_rouge: float | None
    complete: bool
    soft: SoftScores | None = None


class AdapterInfo(Record):
    """The evaluated adapter.

    Attributes:
        path: folder of the adapter, as given; for a model in memory, the name of the adapter in that model.
        method: PEFT type in lower case; empty if lm-eval's logs do not state it.
        fingerprint: SHA-256 of its configuration and weights.
        changes_output: whether the adapter changes the base's output; None if lm-eval's logs do not state it.
    """

    path: str
    method: str
    fingerprint: str
    changes_output: bool | None


class Result(Artefact):
    """An evaluation of a base model or of an adapter on it.

    Attributes:
        name: short name for tables.
        base: name of the base model, as given; empty for a baseline.
        base_fingerprint: SHA-256 of configuration and weights; empty for a baseline.
        adapter: the adapter; None for the base itself.
        tier: smoke, quick, standard or full.
        prompt_format: plain, chat or teamlora.
        shots: number of examples in the prompt.
        source: hub, mini or the mirror's name.
        scores: all scores.
        samples_sha256: SHA-256 of ``samples.parquet``, which lies beside this file.
        scorer_version: version of CME's scoring rules.
        task_fingerprints: fingerprint of each dataset's YAML.
        provenance: for each dataset, what identifies its rows.
        missing: splits that the source lacks (only with --allow-missing).
        device: name of the device.
        dtype: data type of the weights.
        batch_size: choice requests per batch in lm-eval's own code, which generates four times as many texts at once. None if
            lm-eval's logs do not state it.
        threads: CPU threads; None if lm-eval's logs do not state it.
        seconds: evaluation time of each dataset, including reading its rows and scoring.
        versions: versions of the libraries.
        finished: UTC time, ISO 8601.
        baseline: the baseline that answered instead of a model; None if a model answered.
        engines: for each dataset, the engine that computed the answers: ``prefix``, or ``hf`` (lm-eval's own code) with the
            reason. Empty in results of earlier versions, which had ``hf`` only.
        tokens: for each dataset, the tokens that the model computed: prompts, options, texts and the self-check, without
            padding. A prompt that several options share counts as often as it was computed. Empty for a baseline.
        tokens_per_second: for each dataset, ``tokens`` / ``seconds``.
        prompt_variant: index of the prompt variant that was used for every dataset. Boards compare results of variant 0.
        origin: ``cme`` if CME loaded the model from a base and an adapter. ``memory`` if the model was in memory; the
            fingerprints are then those of its weights in memory. ``lm-eval`` if the result was imported from lm-eval's logs;
            the base is then identified by its name and lm-eval's own hash.
        tokenizer_fingerprint: SHA-256 of the base's tokenizer and of the tokens that end a text; with the format ``chat`` also of
            its chat template. Empty for a baseline and in results of earlier versions.
        token_budget: requested positions per pass of the prefix engine; None for the device's default.
        retention: what the adapter changed of the base's old skill; None if it was not measured.
        experts: the experts of a routed adapter that were used, such as ``top1`` or ``drop:1``; None for all. Boards take
            results with all experts only.
        rows: how the rows were chosen, if they are not simply those of the tier. The tier then bounds them.
        ids: SHA-256 of the file of row ids that chose the rows (``cme eval --ids``); None without one.
        read_from: the source from which the rows of a file of row ids were read, if it is not ``source``.
        generated: for each dataset with worked solutions, the tokens of the generated texts; None without such a dataset. The
            prefix engine ends a solution at its end mark, so its texts are shorter than those of lm-eval's own code.
        skipped: chosen datasets that were not evaluated, because their programs must not run without --run-code; None if there
            are none.
        run_code: how the programs that the model wrote ran: ``sandboxed`` or ``unsandboxed``; None if there are none.
        uncompared: evaluated datasets with whose rows the mix of the adapter was not compared, or not with all of them, so that
            its training rows may repeat them. After ``--no-decontamination`` these are all datasets. None if there are none, or
            if the adapter has no run record that says it.
    """

    KIND: ClassVar[str] = "result"
    SCHEMA_VERSION: ClassVar[int] = 1
    LEFT_OUT: ClassVar[tuple[str, ...]] = (
        "experts",
        "retention",
        "rows",
        "ids",
        "read_from",
        "generated",
        "skipped",
        "run_code",
        "uncompared",
    )

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
    prompt_variant: int = stored_as("wording", default=0)
    origin: str = "cme"
    tokenizer_fingerprint: str = ""
    token_budget: Positive | None = None
    retention: Retention | None = None
    rows: RowSelection | None = None
    experts: str | None = None
    ids: str | None = None
    read_from: str | None = None
    generated: dict[str, int] | None = None
    skipped: Items[str] | None = None
    run_code: str | None = None
    uncompared: Items[str] | None = None
