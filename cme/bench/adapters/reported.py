"""What others report, beside what was measured here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cme.bench.adapters.cases import Case
from cme.bench.adapters.ratios import Ratio, ratio_of

__all__ = ["Beside", "Reported", "compare_reported"]

Times = Mapping[str, Mapping[Case, Sequence[float]]]
"""Seconds by mode, case and round."""

_MODES = {"training time": ("train",), "inference speed": ("prefill", "decode")}


@dataclass(frozen=True)
class Reported:
    """A reported ratio of two methods' costs.

    Attributes:
        quantity: ``"training time"`` or ``"inference speed"``.
        method: above the line.
        reference: below it.
        experts: k; None if it is not stated.
        ratio: as reported.
        source: where.
    """

    quantity: str
    method: str
    reference: str
    experts: int | None
    ratio: float
    source: str


@dataclass(frozen=True)
class Beside:
    """A reported figure and the same ratio as measured here, of two forms.

    Attributes:
        reported: what is reported.
        mode: in which mode it was measured here.
        experts: with how many experts.
        forms: above and below the line: ``loop`` and ``loop`` (the papers' code), ``fused`` and ``fused`` (CME's), or
            ``fused`` and ``loop``.
        measured: for times, method over reference; for speeds, the reference's time over the method's.
    """

    reported: Reported
    mode: str
    experts: int
    forms: tuple[str, str]
    measured: Ratio


def compare_reported(figures: Iterable[Reported], times: Times) -> list[Beside]:
    """Each reported figure beside every measured pair of cases that it speaks of; those not measured are left out."""
    return [
        _beside(figure, mode, above, below, times[mode])
        for figure in figures
        for mode in _MODES.get(figure.quantity, ())
        for above in times.get(mode, {})
        for below in times.get(mode, {})
        if _fits(figure, above, below)
    ]


def _fits(figure: Reported, above: Case, below: Case) -> bool:
    """Whether a figure speaks of these two cases; a method fused below the line and a loop above it is nobody's ratio."""
    return (
        (above.method, below.method) == (figure.method, figure.reference)
        and figure.experts in (None, above.experts)
        and below.experts in (None, above.experts)
        and (above.form, below.form) != ("loop", "fused")
    )


def _beside(figure: Reported, mode: str, above: Case, below: Case, times: Mapping[Case, Sequence[float]]) -> Beside:
    first, second = (below, above) if figure.quantity == "inference speed" else (above, below)
    ratio = ratio_of(mode, first.name, second.name, times[first], times[second])
    return Beside(figure, mode, above.experts or 1, (above.form, below.form), ratio)
