"""How the rows of an evaluation were chosen, if they are not simply those of a tier."""

from typing import Any, Literal

from cme.config import Items
from cme.files import digest
from cme.records.base import Amount, Positive, Record

__all__ = ["RowLook", "RowSelection", "Stopped"]

Stopped = Literal["precise", "exhausted", "decided", "last look", "given"]
"""Why no more rows were evaluated."""


class RowLook(Record):
    """A look at the scores, after which more rows were chosen or the evaluation stopped.

    Attributes:
        rows: number of evaluated rows of each dataset.
        half_width: half-width of the confidence interval at this look, in points; None if the rule does not compute one.
    """

    rows: dict[str, Positive]
    half_width: Amount | None


class RowSelection(Record):
    """The rows that were evaluated: the first ones of each dataset in tier order, and the rule that chose their numbers.

    Attributes:
        rule: ``precision`` if the requested half-width chose the rows. ``decided`` if the tests of the differences between
            several models could stop the evaluation as well; boards do not take such rows, because these estimates exaggerate the
            difference. ``given`` if a user gave the numbers.
        stopped: ``precise`` if the requested half-width was reached, ``exhausted`` if all available rows were used, ``decided``
            or ``last look`` for the rule ``decided``, ``given`` for the rule ``given``.
        half_width: requested half-width in points; None if it was not requested.
        alpha: 1 minus the level of the confidence interval; None without an interval.
        reached: half-width of the confidence interval of this CME average, in points; None if it was not computed.
        chosen_by: fingerprints of the models whose scores chose the rows: of the adapter, or of a base.
        counts: number of evaluated rows of each dataset.
        available: number of rows of each dataset in the tier.
        prices: price of a row of each dataset in tokens, from the first rows. Empty if no price was needed.
        looks: the looks in order. The half-width of a look is the largest one, if there are several differences.
        identity: SHA-256 of all other fields but ``reached``. Results whose rows were chosen together have the same one.
    """

    rule: Literal["precision", "decided", "given"]
    stopped: Stopped
    half_width: Amount | None
    alpha: Amount | None
    reached: Amount | None
    chosen_by: Items[str]
    counts: dict[str, Positive]
    available: dict[str, Positive]
    prices: dict[str, Amount]
    looks: Items[RowLook]
    identity: str

    @property
    def total(self) -> int:
        """Number of evaluated rows of all datasets."""
        return sum(self.counts.values())

    @property
    def share(self) -> float:
        """Evaluated rows in percent of the tier's."""
        return 100 * self.total / sum(self.available.values())

    def summary(self, average: float, tier: str, what: str = "CME average") -> str:
        """Describe the precision of a result, and how many rows it took, in one sentence.

        Args:
            average: the CME average of the result.
            tier: the tier of the result.
            what: name of the average.
        """
        share = f"{self.share:.0f} %" if self.share >= 1 else "less than 1 %"
        rows = f"{self.total:,} rows ({share} of tier {tier})"
        if self.reached is None:
            return f"{what} {average:.2f} after {rows}."
        text = f"{what} {average:.2f} ± {self.reached:.2f} ({100 * (1 - (self.alpha or 0.05)):.0f} % interval) after {rows}."
        if self.half_width is None:
            return text
        if self.stopped == "exhausted" and self.reached > self.half_width:
            return f"{text} All rows are used, so ±{self.half_width:g} cannot be reached."
        return text if self.reached <= self.half_width else f"{text} The rows were chosen for ±{self.half_width:g}."

    @classmethod
    def of(cls, **values: Any) -> "RowSelection":
        """Make a selection with its identity from the other fields."""
        selection = cls(**values, identity="")
        return selection.replace(identity=selection.expected_identity())

    def expected_identity(self) -> str:
        """Compute the identity from the other fields."""
        return digest({name: value for name, value in self.model_dump().items() if name not in ("reached", "identity")})
