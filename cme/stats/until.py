"""When a sequential evaluation stops, as a user writes it: ``0.5`` (precision) or ``decided:0.5``."""

import math
import re
from dataclasses import dataclass

from cme.errors import UsageError

__all__ = ["INTERIM_LEVEL", "LAST_LEVEL", "LOOKS", "PRECISION_LEVEL", "Until"]

LOOKS = 6
"""Most looks at which a difference is tested."""

INTERIM_LEVEL = 0.002
"""Level of the test at every look but the last."""

LAST_LEVEL = 0.04
"""Level of the test at the last look. With the levels of the five looks before it, the sum is 0.05."""

PRECISION_LEVEL = 0.05
"""Level of the only test if nothing but the precision decides when the evaluation stops."""

_PATTERN = re.compile(r"(decided:)?\s*(?:±|\+-|\+/-)?\s*([^\s].*)")


@dataclass(frozen=True)
class Until:
    """The rule that ends a sequential evaluation.

    Attributes:
        half_width: Half the width of the confidence interval at which it stops, in points. It counts the part of the interval
            that is due to the samples, because more samples cannot reduce the part that is due to the seeds.
        decided: Whether it also stops as soon as all differences are significant. The estimates of such a run exaggerate small
            differences, so they are not for a board. Without it, the precision alone decides, and no level is spent on looks.
    """

    half_width: float
    decided: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.half_width) and self.half_width > 0):
            raise UsageError(f"the half-width is {self.half_width:g}. Give a number of points above 0, such as 0.5.")

    @classmethod
    def parse(cls, text: str) -> "Until":
        """Read ``0.5``, ``±0.5`` or ``decided:0.5``.

        Raises:
            UsageError: The text has another form, or the number is not above 0.
        """
        match = _PATTERN.fullmatch(text.strip())
        try:
            half_width = float(match[2] if match else text)
        except ValueError:
            raise UsageError(f"until is {text!r}. Give a half-width in points, such as 0.5 or decided:0.5.") from None
        return cls(half_width, decided=bool(match and match[1]))

    @property
    def level(self) -> float:
        """Level of the test at the last look."""
        return LAST_LEVEL if self.decided else PRECISION_LEVEL

    def __str__(self) -> str:
        return f"{'decided:' if self.decided else ''}{self.half_width:g}"
