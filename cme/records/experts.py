"""What a row of a leaderboard states about the experts and the router of one of its runs."""

from cme.config import Items
from cme.records.analysis import Interval, MaskScore, ShapleyAnalysis
from cme.records.base import Count, Positive, Record
from cme.records.retention import Retention

__all__ = ["ExpertsCompetition", "ExpertsLoad", "PlainLora", "RouterWorth", "RunExperts", "SubjectInformation"]


class SubjectInformation(Record):
    """Mutual information of expert and MMLU subject in nats, with a permutation test (`SubjectTest`).

    Attributes:
        information: mutual information, averaged over the layers.
        null_mean: its mean if subjects are assigned at random, which is the bias.
        corrected: the difference of both.
        share: ``corrected`` / ln k.
        p: p-value.
        permutations: number of random assignments.
        rows: number of rows.
        fewest: fewest rows of a subject.
    """

    information: float
    null_mean: float
    corrected: float
    share: float
    p: float
    permutations: Positive
    rows: Positive
    fewest: Positive


class ExpertsLoad(Record):
    """How evenly the experts are used, over the tokens of prompts (`GroupLoad`). The layers are pooled.

    Attributes:
        entropy: entropy of the mean φ / ln k.
        effective: effective number of experts.
        largest: largest mean φ · k.
        variation: coefficient of variation of the mean φ.
        negative: share of negative gate weights.
        token_entropy: mean entropy of φ of single tokens / ln k.
        confident: share of tokens with a φ above 0.9.
        disagreement: share of tokens with the largest ω and the largest φ at different experts.
        phi: mean router value φ of each expert over the suite.
        datasets: the same for each dataset.
        subjects: the same for each subject of MMLU; empty without MMLU.
        information: whether the load depends on the subject; None without MMLU.
    """

    entropy: float
    effective: float
    largest: float
    variation: float
    negative: float
    token_entropy: float
    confident: float
    disagreement: float
    phi: Items[float]
    datasets: dict[str, Items[float]]
    subjects: dict[str, Items[float]]
    information: SubjectInformation | None


class ExpertsCompetition(Record):
    """The interaction matrix M of TeamLoRA over all layers (`LayerCompetition`).

    Attributes:
        matrix: mean of M, row by row.
        layers: number of layers.
        spread: mean over the layers of the root mean square of the elements off the diagonal.
        moved: mean over the layers of the root mean square distance of the diagonal from 1.
        positive: share of the elements off the diagonal that are positive.
        outside: share of the elements off the diagonal beyond ±0.1.
    """

    matrix: Items[Items[float]]
    layers: Positive
    spread: float
    moved: float
    positive: float
    outside: float


class RunExperts(Record):
    """The experts of one run. Scores and values follow from ``samples/<entry>.experts-<k>.parquet`` and ``load.datasets``.

    Attributes:
        experts: number of experts, k.
        rank: rank of each expert.
        load: load of the experts; None if it was not measured.
        redundancy: scores with some experts masked, the full adapter and the base first; empty if they were not evaluated.
        shapley: Shapley values and interactions; None if not all coalitions were evaluated.
        competition: the interaction matrix; None for methods without it.
        scores_sha256: SHA-256 of the file of scores; None without ``redundancy`` and ``shapley``.
        changed: number of samples whose score with all experts differs from that of the run, because another device, thread
            count or engine rounds differently.
    """

    experts: Positive
    rank: Positive
    load: ExpertsLoad | None
    redundancy: Items[MaskScore]
    shapley: ShapleyAnalysis | None
    competition: ExpertsCompetition | None
    scores_sha256: str | None
    changed: Count


class PlainLora(Record):
    """A plain LoRA into which a run's routed adapter was exported.

    Attributes:
        how: way of exporting: ``mean``, ``fit`` or ``distil``.
        rank: its rank.
        difference: the routed adapter minus this export in points, paired, for ``average`` and ``soft``.
        retention: what the export changed of the base's old skill; None if it was not measured.
    """

    how: str
    rank: Positive
    difference: dict[str, Interval]
    retention: Retention | None


class RouterWorth(Record):
    """What the router of one run is worth (``cme export-lora --measure``).

    Scores follow from ``samples/<entry>.router-<k>.parquet`` and the samples of the run.

    Attributes:
        exports: the exports with a single adapter.
        worth: the routed adapter minus the best export in points, for ``average`` and ``soft``. The interval contains the choice
            of the best.
        best: the best export of each.
        scores_sha256: SHA-256 of the file of scores.
    """

    exports: Items[PlainLora]
    worth: dict[str, Interval]
    best: dict[str, str]
    scores_sha256: str
