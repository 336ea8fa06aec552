"""Configuration of MoELoRA."""

from dataclasses import dataclass

from peft import PeftType

from cme.adapters.routed.config import RoutedConfig

__all__ = ["MoeLoraConfig"]


@dataclass
class MoeLoraConfig(RoutedConfig):
    """Configuration of MoELoRA with a router, the baseline of the TeamLoRA paper (arXiv 2408.09856).

    MoELoRA is TeamLoRA without competition. Its stacked A matrices are exactly TeamLoRA's A, so both compute the same
    function with the same gradients and parameter count. The difference in speed that the paper reports is due to a loop
    over the experts, which CME does not need.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["MOELORA"]
