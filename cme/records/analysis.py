"""The analysis of the experts of one adapter. Its numbers follow from the Parquet files beside it."""

from typing import ClassVar

from cme.config import Items
from cme.records.base import Amount, Artefact, Count, Positive, Record
from cme.records.expert_values import ExpertValues, Interval, Share
from cme.records.result import AdapterInfo
from cme.records.validation import ValidationAnalysis

__all__ = [
    "PARTS",
    "Analysis",
    "ExpertValues",
    "GateAgreement",
    "GroupLoad",
    "Interval",
    "LayerCompetition",
    "LayerSimilarity",
    "LoadAnalysis",
    "MaskScore",
    "ShapleyAnalysis",
    "Share",
    "SimilarityAnalysis",
    "SubjectTest",
    "TrainingLoad",
    "TrainingStep",
]

PARTS = ("load", "redundancy", "shapley", "similarity", "validation", "training")
"""The parts of an analysis, in their order."""


class GroupLoad(Record):
    """How evenly the experts are used on some rows. All figures are means over the layers (`cme.analysis.load.LoadFigures`).

    Attributes:
        dataset: the dataset; empty for a family and for the whole suite.
        family: the family; empty for the whole suite.
        subject: the subject of MMLU; empty for all.
        tokens: number of tokens.
        phi: mean router value φ of each expert. Layers are pooled although the number of an expert means nothing across layers.
        gates: mean gate weight ω of each expert, with the layers pooled.
        size: mean share of |ω| of each expert, with the layers pooled.
        entropy: entropy of the mean φ / ln k.
        effective: effective number of experts.
        largest: largest mean φ · k.
        variation: coefficient of variation of the mean φ.
        negative: share of negative gate weights.
        token_entropy: mean entropy of φ of single tokens / ln k.
        confident: share of tokens with a φ above 0.9.
        disagreement: share of tokens with the largest ω and the largest φ at different experts.
    """

    dataset: str
    family: str
    subject: str
    tokens: Count
    phi: Items[float]
    gates: Items[float]
    size: Items[float]
    entropy: float
    effective: float
    largest: float
    variation: float
    negative: float
    token_entropy: float
    confident: float
    disagreement: float


class SubjectTest(Record):
    """Mutual information of expert and MMLU subject, with a permutation test (`cme.analysis.subjects`).

    Attributes:
        information: mutual information in nats, averaged over the layers.
        null_mean: its mean if subjects are assigned at random, which is the bias.
        corrected: the difference of both.
        share: ``corrected`` / ln k.
        p: p-value.
        permutations: number of random assignments.
        by_layer: mutual information of each layer.
        divergence: mean Jensen–Shannon divergence of two subjects in nats.
        divergence_null: its mean under random assignments.
        farthest: the pairs of subjects that differ most, each as ``first / second``, with their divergence.
        subjects: number of subjects.
        rows: number of rows.
        fewest: fewest rows of a subject.
    """

    information: float
    null_mean: float
    corrected: float
    share: float
    p: float
    permutations: Positive
    by_layer: Items[float]
    divergence: float
    divergence_null: float
    farthest: dict[str, float]
    subjects: Positive
    rows: Positive
    fewest: Positive


class LoadAnalysis(Record):
    """The load of the experts.

    Attributes:
        layers: names of the layers with experts.
        prompt: load over the tokens of prompts: first of the whole suite, then by family, dataset and subject.
        answer: the same over the tokens of the right answers.
        subjects: test of whether the load depends on the subject; None without MMLU.
    """

    layers: Items[str]
    prompt: Items[GroupLoad]
    answer: Items[GroupLoad]
    subjects: SubjectTest | None


class MaskScore(Record):
    """The scores of the adapter with some experts masked.

    Attributes:
        name: name of the evaluation: ``all``, ``base``, ``keep-0``, ``top1``, …
        experts: the experts as ``cme eval --experts`` takes them; empty for all.
        score: each metric in points: ``average``, ``chance_normalised`` and ``soft``.
        difference: each metric minus that of the full adapter, paired.
        share_of_score: each metric as a share of the full adapter's.
        share_of_gain: (masked − base) / (full − base) of each metric.
    """

    name: str
    experts: str
    score: dict[str, Interval]
    difference: dict[str, Interval]
    share_of_score: dict[str, Share]
    share_of_gain: dict[str, Share]


class GateAgreement(Record):
    """Spearman's correlation of mean router values and Shapley values over all pairs of dataset and expert.

    Both are taken relative to their mean over the experts of a dataset, so the size of a dataset's gain does not matter.

    Attributes:
        value: the correlation; None if it cannot be computed.
        low: lower end of its 95 % interval from a bootstrap of whole datasets; None at tier smoke or with few datasets.
        high: upper end.
        datasets: number of datasets.
    """

    value: float | None
    low: float | None
    high: float | None
    datasets: Count


class ShapleyAnalysis(Record):
    """Exact Shapley values from the scores of all coalitions of experts.

    Attributes:
        average: of the CME average.
        soft: of the soft average.
        families: of each family's score.
        datasets: of each dataset's score.
        agreement: agreement of router values with Shapley values of the scores; None if load was not measured.
        soft_agreement: the same with soft scores.
    """

    average: ExpertValues
    soft: ExpertValues
    families: Items[ExpertValues]
    datasets: Items[ExpertValues]
    agreement: GateAgreement | None
    soft_agreement: GateAgreement | None


class LayerSimilarity(Record):
    """How similar the trained experts of one layer are. Means over pairs of experts.

    Attributes:
        layer: name of the layer.
        cosine: mean cosine of the updates ΔWᵢ = BᵢAᵢ of two experts.
        cosine_largest: largest cosine of two experts.
        down: mean overlap of the row spaces of A: mean squared cosine of the principal angles. None if all experts share A.
        up: mean overlap of the column spaces of B.
        down_chance: overlap of two random spaces of the same sizes, for ``down``.
        up_chance: the same for ``up``.
        stable_rank: mean stable rank of the updates: ‖ΔW‖²_F / ‖ΔW‖²₂.
        norms: Frobenius norm of each expert's update, 0 for an expert that was never trained.
    """

    layer: str
    cosine: float
    cosine_largest: float
    down: float | None
    up: float
    down_chance: float
    up_chance: float
    stable_rank: float
    norms: Items[Amount]


class LayerCompetition(Record):
    """The interaction matrix M of one layer of TeamLoRA, which starts as the identity plus U(−0.1, 0.1) off the diagonal.

    Attributes:
        layer: name of the layer.
        matrix: M, row by row.
        diagonal: mean of the diagonal.
        off_diagonal: mean of the other elements.
        spread: root mean square of the other elements. It is 0.058 at the start.
        moved: root mean square distance of the diagonal from 1.
        positive: share of the other elements that are positive.
        outside: share of the other elements beyond ±0.1, which must have moved.
    """

    layer: str
    matrix: Items[Items[float]]
    diagonal: float
    off_diagonal: float
    spread: float
    moved: float
    positive: float
    outside: float


class SimilarityAnalysis(Record):
    """How similar the experts' weights are.

    Attributes:
        layers: the layers with at least two trained experts.
        competition: the interaction matrices; empty for methods without them.
        untrained: number of experts that were never trained (their B is zero) by layer. They are in no mean. None if there are
            none.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("untrained",)

    layers: Items[LayerSimilarity]
    competition: Items[LayerCompetition]
    untrained: dict[str, Positive] | None = None


class TrainingStep(Record):
    """How evenly the experts were used after some steps of the training, over the tokens of prompts.

    All figures are means over the layers. Families count equally, and datasets within their family do.

    Attributes:
        step: number of optimiser steps.
        entropy: entropy of the mean φ / ln k.
        effective: effective number of experts.
        token_entropy: mean entropy of φ of single tokens / ln k.
        confident: share of tokens with a φ above 0.9.
        top1: share of tokens whose largest φ is at the expert that has the largest φ most often in its layer. It is 1/k if all
            experts come first equally often, and 1 if one always does. None if no expert of a token is the best one.
    """

    step: Count
    entropy: float
    effective: float
    token_entropy: float
    confident: float
    top1: float | None


class TrainingLoad(Record):
    """The load of the experts at the kept checkpoints of a run, on the same rows at every step.

    Attributes:
        rows: number of rows.
        tokens: number of tokens of their prompts.
        steps: the checkpoints in the order of their steps, and the end of the training.
    """

    rows: Positive
    tokens: Positive
    steps: Items[TrainingStep]


class Analysis(Artefact):
    """The analysis of the experts of one adapter (``cme analyse``).

    Attributes:
        name: name of the adapter's folder.
        base: name of the base model, as given.
        base_fingerprint: SHA-256 of its configuration and weights.
        adapter: the adapter.
        experts: number of experts, k.
        rank: rank of each expert.
        tier: tier of the evaluations.
        source: hub, mini or the mirror's name.
        prompt_format: plain, chat or teamlora.
        dtype: data type of the weights.
        parts: the parts that were done.
        load: load of the experts.
        redundancy: scores with some experts masked, the full adapter and the base first.
        shapley: Shapley values.
        similarity: similarity of the experts' weights.
        files: SHA-256 of ``load.parquet``, ``coalitions.parquet`` and ``validation.parquet``.
        seconds: time of each part.
        versions: versions of the libraries.
        finished: UTC time, ISO 8601.
        scorer_version: version of CME's scoring rules; None in files of earlier versions.
        task_fingerprints: fingerprint of each dataset's YAML; None in files of earlier versions.
        validation: what was measured by the loss on the validation split of the run's mix.
        without_validation: why the validation loss was not measured although it was wanted.
        training: load at the kept checkpoints.
        evaluations: number of scored evaluations.
        passes: number of forward passes over the validation rows, which are not scored.
        without_top1: why nothing was measured that needs the best expert of a token, although it was wanted.
    """

    KIND: ClassVar[str] = "analysis"
    SCHEMA_VERSION: ClassVar[int] = 1
    LEFT_OUT: ClassVar[tuple[str, ...]] = (
        "scorer_version",
        "task_fingerprints",
        "validation",
        "without_validation",
        "training",
        "evaluations",
        "passes",
        "without_top1",
    )

    name: str
    base: str
    base_fingerprint: str
    adapter: AdapterInfo
    experts: Positive
    rank: Positive
    tier: str
    source: str
    prompt_format: str
    dtype: str
    parts: Items[str]
    load: LoadAnalysis | None
    redundancy: Items[MaskScore]
    shapley: ShapleyAnalysis | None
    similarity: SimilarityAnalysis | None
    files: dict[str, str]
    seconds: dict[str, float]
    versions: dict[str, str]
    finished: str
    scorer_version: int | None = None
    task_fingerprints: dict[str, str] | None = None
    validation: ValidationAnalysis | None = None
    without_validation: str | None = None
    training: TrainingLoad | None = None
    evaluations: Count | None = None
    passes: Count | None = None
    without_top1: str | None = None
