"""Cluster-robust standard errors of means."""

from collections.abc import Sequence

import numpy as np

__all__ = ["clustered_stderr", "stderr_of_mean"]


def clustered_stderr(scores: Sequence[float], clusters: Sequence[str]) -> float | None:
    """Compute the cluster-robust standard error of the mean.

    If every sample is its own cluster, this is the ordinary s/√n.

    Args:
        scores: One score per sample, [n].
        clusters: Cluster of each sample, [n].

    Returns:
        The standard error in the unit of the scores, or None for fewer than two clusters.

    Source: E. Miller, Adding Error Bars to Evals, arXiv 2411.00640, section 2.2, with the factor C/(C − 1) for C clusters.
    """
    values = np.asarray(scores, dtype=np.float64)
    _, index = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    count = int(index.max()) + 1 if len(values) else 0
    if count < 2:
        return None
    sums = np.bincount(index, weights=values - values.mean(), minlength=count)
    return float(np.sqrt(count / (count - 1) * np.square(sums).sum()) / len(values))


def stderr_of_mean(stderrs: Sequence[float | None]) -> float | None:
    """Return the standard error of the unweighted mean of independent estimates, or None if any of them has none."""
    known = [value for value in stderrs if value is not None]
    if not known or len(known) < len(stderrs):
        return None
    return float(np.sqrt(np.square(known).sum()) / len(known))
