"""Values with intervals, and Shapley values of experts."""

from cme.config import Items
from cme.records.base import Record

__all__ = ["ExpertValues", "Interval", "Share"]


class Interval(Record):
    """A value with its 95 % interval.

    Attributes:
        value: the value.
        low: lower end of the interval; None at tier smoke, and if there are too few clusters.
        high: upper end of the interval; None as for ``low``.
    """

    value: float
    low: float | None
    high: float | None


class Share(Record):
    """A ratio of two scores with Fieller's 95 % interval.

    Attributes:
        value: the ratio; None if the denominator is 0.
        low: lower end; None at tier smoke, if there are too few clusters, and if the interval of the denominator contains 0, so
            that the ratio is undefined.
        high: upper end; None as for ``low``.
    """

    value: float | None
    low: float | None
    high: float | None


class ExpertValues(Record):
    """Shapley values and interactions of the experts, in points, or in nats for the validation loss.

    Attributes:
        name: dataset or family; ``average`` for the CME average and ``soft`` for the soft average.
        values: Shapley value of each expert. They sum to the adapter's gain over the base.
        interactions: Shapley interaction index of each pair, by ``0-1``, ``0-2``, …
        gates: mean router value φ of each expert on the same datasets; None if load was not measured.
    """

    name: str
    values: Items[Interval]
    interactions: dict[str, Interval]
    gates: Items[float] | None
