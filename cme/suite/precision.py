"""The precision of one model's CME average, from its per-sample scores."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cme.errors import UsageError
from cme.stats import Estimate, Panel, average_weights, estimates, make_panel
from cme.suite.spec import datasets
from cme.suite.suites import ALL

__all__ = ["ALPHA", "average_interval", "half_width", "panel_and_weights"]

ALPHA = 0.05
"""1 minus the level of the interval whose half-width is the precision."""


def panel_and_weights(samples: Sequence[Mapping[str, Any]]) -> tuple[Panel, dict[str, float]]:
    """Return the scores of one model, and the weight of each dataset that counts in the CME average.

    Args:
        samples: rows of ``samples.parquet``.

    Raises:
        UsageError: all samples of a dataset share one cluster, so the precision is unknown.
    """
    scores: dict[str, list[float]] = defaultdict(list)
    clusters: dict[str, list[str]] = defaultdict(list)
    families: dict[str, str] = {}
    known = datasets(ALL)
    for sample in samples:
        scores[sample["dataset"]].append(sample["score"])
        clusters[sample["dataset"]].append(sample["cluster"])
        if sample["dataset"] in known:
            families[sample["dataset"]] = sample["family"]
    if single := [name for name in families if len(set(clusters[name])) < 2]:
        raise UsageError(
            f"the evaluated rows of {', '.join(single)} have only one cluster, so the precision of the average is unknown. "
            "Leave the dataset out with --datasets, or evaluate a tier."
        )
    # The precision is that of this model. It does not count the variance between training seeds.
    panel = make_panel({"model": dict(scores)}, clusters, untrained=["model"])
    return panel, average_weights(families)


def average_interval(samples: Sequence[Mapping[str, Any]], alpha: float = ALPHA) -> Estimate:
    """Return the CME average of one model with its confidence interval over samples, in points.

    Args:
        samples: rows of ``samples.parquet``.
        alpha: 1 minus the level of the interval.

    Raises:
        UsageError: all samples of a dataset share one cluster, so the precision is unknown.
    """
    panel, weights = panel_and_weights(samples)
    return estimates(panel, weights, alpha=alpha)[0]


def half_width(estimate: Estimate) -> float:
    """Return half the width of an estimate's interval, in its unit; 0 for an estimate without one."""
    if estimate.low is None or estimate.high is None:
        return 0.0
    return (estimate.high - estimate.low) / 2
