"""The suites: datasets, families, tiers, metrics, baselines and averages."""

from cme.suite.spec import (
    DatasetSpec,
    Subset,
    by_suite,
    dataset,
    datasets,
    in_suite,
    notes_on,
    select,
    selection,
    suites_of,
    with_training_rows,
)

__all__ = [
    "DatasetSpec",
    "Subset",
    "by_suite",
    "dataset",
    "datasets",
    "in_suite",
    "notes_on",
    "select",
    "selection",
    "suites_of",
    "with_training_rows",
]
