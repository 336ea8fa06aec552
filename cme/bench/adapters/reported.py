"""Comparison of reported ratios with measured ones."""

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
        method: The method in the numerator.
        reference: The method in the denominator.
        experts: The number of experts k, or None if it is not stated.
        ratio: The reported ratio.
        source: The publication that reports it.
    """

    quantity: str
    method: str
    reference: str
    experts: int | None
    ratio: float
    source: str


@dataclass(frozen=True)
class Beside:
    """A reported ratio and the same ratio as measured here, for two forms.

    Attributes:
        reported: The reported ratio.
        mode: The mode of the measurement.
        experts: The number of experts.
        forms: The forms in the numerator and in the denominator: ``loop`` and ``loop`` (the papers' code), ``fused`` and
            ``fused`` (CME), or ``fused`` and ``loop``.
        measured: The measured ratio. For speeds it is the time of the reference divided by that of the method.
    """

    reported: Reported
    mode: str
    experts: int
    forms: tuple[str, str]
    measured: Ratio


def compare_reported(figures: Iterable[Reported], times: Times) -> list[Beside]:
    """Combine each reported ratio with all measured pairs of cases that match it. Ratios without a match are left out."""
    return [
        _beside(figure, mode, above, below, times[mode])
        for figure in figures
        for mode in _MODES.get(figure.quantity, ())
        for above in times.get(mode, {})
        for below in times.get(mode, {})
        if _fits(figure, above, below)
    ]


def _fits(figure: Reported, above: Case, below: Case) -> bool:
    """Return whether a reported ratio matches two cases. A loop divided by a fused form is not a useful ratio."""
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
