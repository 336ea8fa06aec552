"""Configuration of MoELoRA."""

from dataclasses import dataclass

from peft import PeftType

from cme.adapters.routed.config import RoutedConfig

__all__ = ["MoeLoraConfig"]


@dataclass
class MoeLoraConfig(RoutedConfig):
    """MoELoRA with a gate per token, the baseline of the TeamLoRA paper (arXiv 2408.09856).

    This is TeamLoRA without its competition: the experts' A matrices, stacked, are exactly TeamLoRA's one A with its
    split, so the two have the same function of the same numbers, the same gradients and the same parameter count. What
    the paper measures between them is the time of a loop over experts, which is not needed here.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["MOELORA"]
