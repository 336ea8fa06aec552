"""Does the router distinguish subjects? Mutual information of expert and subject with a permutation test.

The value φ of the router is a distribution over the experts at each token. With equal weights of the S subjects, the mutual
information of expert and subject in one layer is the entropy of the mean distribution minus the mean entropy of the subjects'
distributions. It is computed in every layer and averaged, because the number of an expert means nothing across layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cme.analysis.load import Array, entropies
from cme.errors import DataError, UsageError

__all__ = ["SubjectInformation", "divergences", "information", "subject_information"]


@dataclass(frozen=True, eq=False)
class SubjectInformation:
    """The mutual information of expert and subject, with its permutation test.

    Attributes:
        value: mutual information in nats, averaged over the layers. Noise makes it positive even without any dependence.
        null_mean: its mean if the subjects are assigned to the rows at random.
        corrected: ``value − null_mean``. This is the bias correction.
        p: p-value of the hypothesis that the subjects do not matter to the router: the share of random assignments, this one
            included, with at least this mutual information.
        permutations: number of random assignments.
        by_layer: mutual information of each layer in nats, [L].
        divergence: mean Jensen–Shannon divergence between two subjects in nats, averaged over the layers.
        divergence_null: its mean under random assignments.
        farthest: the pairs of subjects with the largest divergence, in descending order: (first, second, divergence).
        subjects: number of subjects.
        rows: number of rows.
    """

    value: float
    null_mean: float
    corrected: float
    p: float
    permutations: int
    by_layer: Array
    divergence: float
    divergence_null: float
    farthest: tuple[tuple[str, str, float], ...]
    subjects: int
    rows: int


def information(distributions: Array) -> Array:
    """Compute the mutual information of expert and subject in nats, [L].

    Args:
        distributions: distribution over the experts of each subject and layer, [S, L, k]. Subjects count equally.

    Source: T. M. Cover and J. A. Thomas, Elements of Information Theory, section 2.4.
    """
    value: Array = entropies(distributions.mean(axis=0)) - entropies(distributions).mean(axis=0)
    return value


def divergences(distributions: Array) -> Array:
    """Compute the Jensen–Shannon divergence of each pair of subjects in nats, averaged over the layers, [S, S].

    Args:
        distributions: as for `information`.

    Source: J. Lin, Divergence Measures Based on the Shannon Entropy, IEEE Transactions on Information Theory 37 (1991).
    """
    own = entropies(distributions)
    table = np.zeros((len(own), len(own)))
    for place, (first, entropy) in enumerate(zip(distributions, own, strict=True)):
        middle = entropies((first + distributions[place + 1 :]) / 2)
        table[place, place + 1 :] = (middle - (entropy + own[place + 1 :]) / 2).mean(axis=-1)
    return np.maximum(table + table.T, 0.0)


def subject_information(
    phi: ArrayLike,
    tokens: ArrayLike,
    subjects: Sequence[str],
    clusters: Sequence[str],
    *,
    permutations: int = 999,
    seed: int = 0,
) -> SubjectInformation:
    """Test whether the load of the experts depends on the subject.

    The null assigns the subjects to the clusters of rows at random. Tokens of one row, and rows of one cluster, stay together,
    because they are not independent.

    Args:
        phi: sums of φ over the tokens of each row, [n, L, k].
        tokens: number of tokens of each row, [n].
        subjects: subject of each row, [n].
        clusters: cluster of each row, [n].
        permutations: number of random assignments.
        seed: seed of the assignments.

    Raises:
        UsageError: there are fewer than two subjects, or no permutations.
        DataError: a cluster has rows of several subjects.
    """
    sums, counts = np.asarray(phi, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
    names, subject_of_row = np.unique(np.asarray(subjects, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2 or permutations < 1:
        raise UsageError(
            f"there are rows of {len(names)} subjects and {permutations} permutations. Give at least two subjects and one "
            "permutation."
        )
    labels, cluster_of_row = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    subject_of_cluster = np.zeros(len(labels), dtype=np.int64)
    subject_of_cluster[cluster_of_row] = subject_of_row
    if (mixed := subject_of_cluster[cluster_of_row] != subject_of_row).any():
        raise DataError(
            f"the cluster {labels[cluster_of_row[mixed.argmax()]]} has rows of several subjects, so subjects cannot be "
            "permuted by cluster. Give each subject its own clusters."
        )
    # Only the sums of a cluster matter to a permutation.
    sums, counts = _grouped(sums, cluster_of_row, len(labels)), _grouped(counts, cluster_of_row, len(labels))
    observed = _distributions(sums, counts, subject_of_cluster, len(names))
    by_layer = information(observed)
    value = float(by_layer.mean())
    between = divergences(observed)
    pairs = np.triu_indices(len(names), 1)
    draws = np.random.default_rng(seed)
    null, null_divergence = np.empty(permutations), []
    for draw in range(permutations):
        drawn = _distributions(sums, counts, draws.permutation(subject_of_cluster), len(names))
        null[draw] = information(drawn).mean()
        if draw < _DIVERGENCE_DRAWS:
            null_divergence.append(divergences(drawn)[pairs].mean())
    order = np.argsort(-between[pairs], kind="stable")[:_FARTHEST]
    return SubjectInformation(
        value=value,
        null_mean=float(null.mean()),
        corrected=value - float(null.mean()),
        p=float((1 + (null >= value).sum()) / (1 + permutations)),
        permutations=permutations,
        by_layer=by_layer,
        divergence=float(between[pairs].mean()),
        divergence_null=float(np.mean(null_divergence)),
        farthest=tuple(
            (str(names[pairs[0][place]]), str(names[pairs[1][place]]), float(between[pairs][place])) for place in order
        ),
        subjects=len(names),
        rows=len(cluster_of_row),
    )


_DIVERGENCE_DRAWS = 50
_FARTHEST = 5


def _grouped(values: Array, index: np.ndarray, groups: int) -> Array:
    total = np.zeros((groups, *values.shape[1:]))
    np.add.at(total, index, values)
    return total


def _distributions(sums: Array, counts: Array, subjects: np.ndarray, groups: int) -> Array:
    """Return the mean φ over the tokens of each subject, [S, L, k], from the sums of clusters [c, L, k]."""
    assigned = np.zeros((groups, len(subjects)))
    assigned[subjects, np.arange(len(subjects))] = 1.0
    means = assigned @ sums.reshape(len(sums), -1) / (assigned @ counts)[:, None]
    means = means.reshape(groups, *sums.shape[1:])
    distributions: Array = means / means.sum(axis=-1, keepdims=True)
    return distributions
