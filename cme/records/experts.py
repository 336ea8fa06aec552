"""What a row of a leaderboard states about the experts of one of its runs: a summary of ``cme analyse``."""

from cme.config import Items
from cme.records.analysis import MaskScore, ShapleyAnalysis
from cme.records.base import Count, Positive, Record

__all__ = ["ExpertsCompetition", "ExpertsLoad", "RunExperts", "SubjectInformation"]


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
