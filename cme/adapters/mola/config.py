"""Configuration of MoLA."""

import copy
import re
from dataclasses import dataclass, field
from typing import Any

from peft import PeftType

from cme.adapters.routed.config import RoutedConfig

__all__ = ["MolaConfig", "matches"]


def matches(pattern: str, name: str) -> bool:
    """Return whether a key of ``experts_pattern`` is for a layer, by PEFT's rule for ``rank_pattern``."""
    return re.match(rf"(.*\.)?({pattern})$", name) is not None


@dataclass
class MolaConfig(RoutedConfig):
    """Configuration of MoLA (arXiv 2402.08562): each token uses the ``top_k`` experts with the largest gate weights.

    The gate weights are the softmax over all experts, cut to the largest ones and divided by their sum. Layers can have
    different numbers of experts.

    Args:
        top_k: Number of experts that each token uses.
        experts_pattern: Numbers of experts of some layers, by a regular expression for the layer's name, as in PEFT's
            ``rank_pattern``. Other layers have ``experts`` experts.

    The other arguments are those of `RoutedConfig`.

    Raises:
        ValueError: ``top_k`` is below 2 or above the number of experts of a layer, or a number is out of range.
    """

    top_k: int = field(default=2, metadata={"help": "Number of experts that each token uses, from 2 to experts."})
    experts_pattern: dict[str, int] | None = field(
        default=None,
        metadata={
            "help": "Numbers of experts by a regular expression for the layer's name, as in PEFT's rank_pattern, such as "
            "{'layers\\\\.[0-7]\\\\..*': 2}. Other layers have as many experts as the field experts says."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["MOLA"]
        if self.top_k < 2:
            raise ValueError(
                f"top_k must be at least 2, but is {self.top_k}. The gate weight of a single expert is always 1 after the "
                "division by the sum, so the router would get no gradient."
            )
        for where, number in {"experts": self.experts, **(self.experts_pattern or {})}.items():
            if isinstance(number, bool) or not isinstance(number, int) or number < self.top_k:
                of = where if where == "experts" else f"experts_pattern {where!r}"
                raise ValueError(
                    f"{of} must be at least top_k ({self.top_k}), but is {number!r}. Lower top_k, or use more experts."
                )

    def for_layer(self, name: str) -> "MolaConfig":
        """Return the configuration of one layer, with its own number of experts.

        Args:
            name: The layer's name in the base model.

        Raises:
            ValueError: Two patterns match the name and give different numbers.
        """
        numbers = {number: key for key, number in (self.experts_pattern or {}).items() if matches(key, name)}
        if len(numbers) > 1:
            raise ValueError(
                f"experts_pattern gives the layer {name} different numbers of experts: "
                f"{', '.join(f'{number} ({key!r})' for number, key in numbers.items())}. Change the patterns so that one matches."
            )
        own = copy.copy(self)
        own.experts = next(iter(numbers), self.experts)
        return own

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict, without an unused pattern."""
        values = super().to_dict()
        return {key: value for key, value in values.items() if key != "experts_pattern" or value}
