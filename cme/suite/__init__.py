"""The suite: datasets, families, tiers, metrics, baselines and the CME average."""

from cme.suite.spec import DatasetSpec, Part, dataset, datasets, select

__all__ = ["DatasetSpec", "Part", "dataset", "datasets", "select"]
