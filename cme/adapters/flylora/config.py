"""Configuration of FlyLoRA."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from peft import PeftType

from cme.adapters.routed.rankwise import RankwiseConfig

__all__ = ["FlyLoraConfig"]


@dataclass
class FlyLoraConfig(RankwiseConfig):
    """Configuration of FlyLoRA (arXiv 2510.08396): a frozen sparse A, whose largest outputs choose the ranks of each token.

    Args:
        by_magnitude: Whether the outputs of A are compared by their absolute values.

    The other arguments are those of `RankwiseConfig`. The authors use r = 32, top_k = 8 and lora_alpha = 64.
    """

    lora_alpha: float = field(
        default=64, metadata={"help": "The output is scaled by lora_alpha / r for each chosen rank on average."}
    )
    bias_step: float = field(
        default=1e-3,
        metadata={"help": "How far the selection bias of a rank moves in an optimiser step. 0 turns the bias off."},
    )
    by_magnitude: bool = field(
        default=False,
        metadata={
            "help": "Whether the outputs of A are compared by their absolute values. The authors' two implementations differ: "
            "the one that their scripts run compares signed values (False)."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["FLYLORA"]

    @classmethod
    def ties(cls, values: Mapping[str, Any]) -> bool:
        """Return whether a token uses several ranks, all of which have the gate weight 1 / top_k. See `RoutedConfig.ties`."""
        return values.get("top_k") != 1
