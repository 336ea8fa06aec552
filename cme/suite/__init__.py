"""What CME is: its datasets, families, tiers, metrics and the average, as read from the task YAMLs."""

from cme.suite.spec import DatasetSpec, Part, dataset, datasets, select

__all__ = ["DatasetSpec", "Part", "dataset", "datasets", "select"]
