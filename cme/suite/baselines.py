"""Baselines: rules that answer without a model, as a reference for the scores of models."""

from cme.errors import UsageError, unknown
from cme.suite.spec import DatasetSpec, datasets, select
from cme.suite.suites import SUITES

__all__ = ["BASELINES", "answers", "covered", "left_out"]

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


def left_out(baseline: str, names: tuple[str, ...] | None) -> list[str]:
    """Return the named datasets, and families, of which a baseline answers nothing; none if a whole suite is chosen.

    Args:
        baseline: one of `BASELINES`.
        names: names of datasets or families; None for the whole CME-22.
    """
    chosen = {spec.name: spec for spec in select(names)}
    if names is None or any(set(datasets(suite)) <= set(chosen) for suite in SUITES):
        return []
    answered = {word for spec in chosen.values() if answers(baseline, spec) for word in (spec.name, spec.family)}
    return [name for name in dict.fromkeys(names) if name not in answered]


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
