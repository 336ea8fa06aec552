"""Texts of values in tables and figures."""

from cme.records.analysis import Analysis
from cme.records.expert_values import Interval, Share
from cme.suite import datasets
from cme.suite.experts.masks import FULL
from cme.suite.suites import ALL, DEFAULT, SUITES, Suite, suite_of_families

__all__ = ["has_intervals", "interval_text", "mask_title", "share_text", "suite_of"]


def suite_of(record: Analysis) -> Suite:
    """Return the suite of the datasets of an analysis, whose average it reports."""
    known = datasets(ALL, beside=True)
    families = [known[name].family for name in record.task_fingerprints or () if name in known]
    return suite_of_families(families) if families else SUITES[DEFAULT]


def has_intervals(record: Analysis) -> bool:
    """Return whether the averages of an analysis have intervals. They have none at tier smoke, and with one-cluster datasets."""
    values = [item.score["average"] for item in record.redundancy]
    values += record.shapley.average.values if record.shapley is not None else ()
    return record.tier != "smoke" and all(item.low is not None for item in values)


def mask_title(name: str, experts: int) -> str:
    """Return the display name of an evaluation, such as ``expert 0 alone`` or ``without expert 2``.

    Args:
        name: name of the evaluation (`cme.suite.experts.masks.mask_name`).
        experts: number of experts of the adapter.
    """
    fixed = {
        FULL: "all experts",
        "base": "no expert (the base)",
        "top1": "top 1 per token",
        "top1-renormalised": "top 1 per token, renormalised",
    }
    if name in fixed:
        return fixed[name]
    kept = name.removeprefix("keep-").split("-")
    if len(kept) == 1:
        return f"expert {kept[0]} alone"
    if len(kept) == experts - 1:
        return f"without expert {next(expert for expert in range(experts) if str(expert) not in kept)}"
    return f"experts {', '.join(kept)}"


def interval_text(item: Interval, digits: int = 2) -> str:
    """Return a value with its interval in brackets, if it has one.

    Args:
        item: the value.
        digits: number of digits after the decimal point.
    """
    # The sum removes the sign of a zero.
    value, *ends = (
        "" if end is None else f"{round(end, digits) + 0.0:.{digits}f}" for end in (item.value, item.low, item.high)
    )
    return f"{value} ({ends[0]} to {ends[1]})" if all(ends) else value


def share_text(item: Share, *, intervals: bool = True) -> str:
    """Return a share in per cent with its interval.

    Args:
        item: the share.
        intervals: whether the analysis has intervals. If so, a share without one is undefined.
    """
    if item.value is None:
        return "undefined"
    # The sum removes the sign of a zero.
    value = f"{round(100 * item.value, 1) + 0.0:.1f} %"
    if item.low is None or item.high is None:
        return f"{value} (interval undefined)" if intervals else value
    return f"{value} ({round(100 * item.low, 1) + 0.0:.1f} to {round(100 * item.high, 1) + 0.0:.1f})"
