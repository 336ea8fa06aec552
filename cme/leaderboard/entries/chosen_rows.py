"""Rows that a rule chose within the tier: which of them a board takes, and how they are checked and described."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cme.errors import CMEError, UsageError
from cme.files import digest
from cme.records import Entry, Result, RowSelection
from cme.suite.precision import average_interval, half_width
from cme.suite.score import Sample

__all__ = ["check_admissible", "check_chosen_rows", "choosing_run", "impossible_rows", "rows_label", "tier_text"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOLERANCE = 1e-9
_MOST_LOOKS = 1000
_MOST_MODELS = 100


def check_admissible(result: Result, folder: Path) -> None:
    """Check that a board may take a result: one of a saved model with all its experts, whose rows nobody chose by hand.

    Raises:
        UsageError: the model was in memory, or only some experts were used; the evaluation could stop because a difference was
            decided, or a user gave the numbers of rows.
    """
    if result.origin == "memory":
        raise UsageError(
            f"result {folder} comes from a model in memory, which others cannot evaluate again. Save the model or the adapter "
            "with save_pretrained, evaluate that folder, and submit its result."
        )
    if result.experts:
        raise UsageError(
            f"result {folder} was evaluated with some experts only ({result.experts}), so it is not the adapter's score. "
            "Evaluate without --experts."
        )
    if result.rows is None or result.rows.rule == "precision":
        return
    advice = "Submit an evaluation of a whole tier, or one whose rows were chosen by precision (cme eval --until)."
    if result.rows.rule == "decided":
        raise UsageError(
            f"result {folder} stopped, or could stop, because a difference was decided. Such estimates exaggerate differences, "
            f"so boards do not take them. {advice}"
        )
    raise UsageError(f"result {folder} has numbers of rows that a user gave, which others cannot check. {advice}")


def rows_label(rows: RowSelection | None) -> str:
    """Return a short description of the numbers of rows. It is equal if and only if the numbers are equal."""
    if rows is None or rows.counts == rows.available:
        return "all rows of the tier"
    return f"{rows.total:,} chosen rows ({digest(rows.counts)[:8]})"


def tier_text(entry: Entry) -> str:
    """Return the tier of an entry, and the precision of chosen rows, such as ``full, rows chosen for ±0.5 points``."""
    rows = entry.rows
    if rows is None or rows.counts == rows.available or rows.half_width is None:
        return entry.tier
    return f"{entry.tier}, rows chosen for ±{rows.half_width:g} points"


def choosing_run(entry_base: str, rows: RowSelection, adapters: Sequence[str | None]) -> int | None:
    """Return the index of the run whose scores alone chose the rows, or None if it is not one of these runs.

    Args:
        entry_base: fingerprint of the base of the runs.
        rows: the selection.
        adapters: fingerprint of each run's adapter; None for a base.
    """
    models = [adapter or entry_base for adapter in adapters]
    return models.index(rows.chosen_by[0]) if len(rows.chosen_by) == 1 and rows.chosen_by[0] in models else None


def impossible_rows(entry: Entry) -> Iterator[str]:
    """List what is wrong with the selection of an entry's rows, without its samples."""
    rows = entry.rows
    if rows is None:
        return
    counted = {item.dataset: item.n for item in entry.scores.datasets}
    if rows.rule != "precision" or rows.stopped not in ("precise", "exhausted"):
        yield "its rows were not chosen by precision alone"
    elif not (rows.half_width and rows.alpha and rows.alpha < 1):
        yield "rows.half_width or rows.alpha is not a possible value"
    if rows.counts != counted:
        yield "rows.counts are not the numbers of its samples"
    if any(rows.counts[name] > rows.available.get(name, 0) for name in rows.counts):
        yield "rows.counts has more rows than rows.available"
    elif rows.stopped == "exhausted" and rows.looks and rows.looks[-1].rows.items() - rows.available.items():
        yield "rows.stopped is exhausted, but not all rows are used"
    if len(rows.looks) > _MOST_LOOKS or len(rows.chosen_by) > _MOST_MODELS:
        yield "rows has too many looks or models"
    elif not rows.looks or not _ends_with(rows.looks[-1].rows, rows.counts):
        yield "rows.looks does not end with rows.counts"
    if not all(_DIGEST.fullmatch(model) for model in rows.chosen_by):
        yield "rows.chosen_by has a value that is not a SHA-256 digest"
    elif rows.identity != rows.expected_identity():
        yield "rows.identity does not follow from the other values"


def check_chosen_rows(entry: Entry, samples: Sequence[Sequence[Sample]], where: str) -> None:
    """Check that the run that chose the rows reaches the precision that the entry states.

    Args:
        entry: the entry.
        samples: the samples of each run.
        where: description of the entry, for messages.

    Raises:
        CMEError: the precision does not follow from the samples.
    """
    rows = entry.rows
    if rows is None:
        return
    chooser = choosing_run(entry.base_fingerprint, rows, [run.provenance.adapter.fingerprint for run in entry.runs])
    reached = None if chooser is None else half_width(average_interval(samples[chooser], rows.alpha or 0.0))
    if (reached is None) != (rows.reached is None) or (
        reached is not None and rows.reached is not None and abs(reached - rows.reached) > _TOLERANCE
    ):
        raise CMEError(
            f"{where}: rows.reached is {rows.reached}, but the samples give {reached}. Submit its results again."
        )
    if reached is not None and rows.half_width is not None:
        precise = reached <= rows.half_width + _TOLERANCE
        if precise != (rows.stopped == "precise"):
            raise CMEError(
                f"{where}: rows.stopped is {rows.stopped}, but the samples give ±{reached:.4g} for a requested "
                f"±{rows.half_width:g}. Submit its results again."
            )


def _ends_with(look: Mapping[str, int], counts: Mapping[str, int]) -> bool:
    """Return whether a look has the numbers of rows. Datasets that do not count in the average are not in a look."""
    return bool(look) and all(counts.get(name) == count for name, count in look.items())
