"""The suites: datasets, families, tiers, metrics, baselines and averages."""

from cme.suite.choice import by_suite, in_suite, select_for_training, selection, suites_of
from cme.suite.spec import DatasetSpec, Subset, dataset, datasets, notes_on, select

__all__ = [
    "DatasetSpec",
    "Subset",
    "by_suite",
    "dataset",
    "datasets",
    "in_suite",
    "notes_on",
    "select",
    "select_for_training",
    "selection",
    "suites_of",
]
