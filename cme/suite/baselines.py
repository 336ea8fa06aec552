"""Baselines: rules that answer without a model, as a reference for the scores of models."""

from cme.errors import UsageError, unknown
from cme.suite.spec import DatasetSpec, select

__all__ = ["BASELINES", "answers", "covered"]

BASELINES = {
    "majority": "the most frequent answer of the training split",
    "first-option": "always the first option",
    "unanswerable": "always 'unanswerable', where a question may have no answer",
    "lead-1": "the first sentence of the text to summarize",
}
"""The answer of each baseline. ``majority`` is defined for all datasets, the others for some."""


def covered(baseline: str, names: tuple[str, ...] | None = None) -> list[DatasetSpec]:
    """Return the datasets that a baseline answers, in the suite's order.

    Args:
        baseline: one of `BASELINES`.
        names: names of datasets or families to choose from; None for the whole CME-22.

    Raises:
        UsageError: there is no such baseline, or it is not defined for any of the datasets.
    """
    if baseline not in BASELINES:
        raise unknown("baseline", baseline, BASELINES)
    specs = select(names)
    answered = [spec for spec in specs if answers(baseline, spec)]
    if not answered:
        raise UsageError(
            f"the baseline {baseline!r} ({BASELINES[baseline]}) is not defined for {', '.join(s.name for s in specs)}. "
            "Choose other datasets with --datasets"
            + (", or the baseline 'majority', which answers all others." if baseline != "majority" else ".")
        )
    return answered


def answers(baseline: str, spec: DatasetSpec) -> bool:
    """Return whether a baseline answers a dataset."""
    if spec.runs_code or (baseline == "majority" and not spec.trains):
        # One program solves no other task.
        return False
    if baseline == "first-option":
        return spec.kind == "choice"
    if baseline == "unanswerable":
        return spec.unanswerable is not None
    if baseline == "lead-1":
        return spec.primary_metric.startswith("rouge")
    return True
