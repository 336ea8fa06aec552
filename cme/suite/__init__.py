"""The suite: datasets, families, tiers, metrics, baselines and the CME average."""

from cme.suite.spec import DatasetSpec, Subset, dataset, datasets, select

__all__ = ["DatasetSpec", "Subset", "dataset", "datasets", "select"]
