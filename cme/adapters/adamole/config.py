"""Configuration of AdaMoLE."""

from dataclasses import dataclass, field
from typing import Any

from peft import PeftType

from cme.adapters.routed.config import RoutedConfig

__all__ = ["AdaMoleConfig"]


@dataclass
class AdaMoleConfig(RoutedConfig):
    """Configuration of AdaMoLE (arXiv 2405.00361): each token uses the experts whose gate weight exceeds a learned threshold.

    Args:
        max_threshold: Upper bound of the threshold, above 0 and at most ``1 / experts``, which is the default. Up to this
            bound, every token uses at least one expert, because its largest gate weight is at least ``1 / experts``.

    The other arguments are those of `RoutedConfig`.

    Raises:
        ValueError: ``max_threshold`` or another number is out of range, or there is a single expert.
    """

    max_threshold: float | None = field(
        default=None,
        metadata={
            "help": "Upper bound of the threshold, above 0 and at most 1 / experts. The default is 1 / experts, as in the "
            "authors' code."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["ADAMOLE"]
        if self.experts < 2:
            raise ValueError(
                f"experts must be at least 2, but is {self.experts}. A single expert always has the gate weight 1, so there is "
                "nothing to select."
            )
        if self.max_threshold is not None and not 0 < self.max_threshold <= 1 / self.experts:
            raise ValueError(
                f"max_threshold must be above 0 and at most 1 / experts ({1 / self.experts:.4g}), but is {self.max_threshold}. "
                "With a higher threshold, a token may use no expert. Without a threshold the method is moelora."
            )

    @property
    def threshold(self) -> float:
        """The upper bound of the threshold in use."""
        return 1 / self.experts if self.max_threshold is None else self.max_threshold

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict, without an unused bound."""
        values = super().to_dict()
        return {key: value for key, value in values.items() if key != "max_threshold" or value is not None}
