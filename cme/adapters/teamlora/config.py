"""Configuration of TeamLoRA."""

from dataclasses import dataclass, field

from peft import PeftType

from cme.adapters.routed.config import RoutedConfig

__all__ = ["TeamLoraConfig"]


@dataclass
class TeamLoraConfig(RoutedConfig):
    """Configuration of TeamLoRA (arXiv 2408.09856): experts that share one A and compete through an interaction matrix.

    Without ``collaboration`` and ``competition`` the method is MoELoRA with a router, the paper's baseline. Stacking
    MoELoRA's A matrices gives exactly TeamLoRA's A. Therefore ``collaboration`` changes the stored shape only, not the
    outputs, the parameter count or the initialisation. It exists because it is a row of the paper's ablation.

    Args:
        collaboration: Whether the experts share one stacked A instead of having an A each.
        competition: Whether the softmax gate weights are multiplied by a learnable interaction matrix.
        router_hidden: Number of hidden units of the router. 0 means one linear layer.

    The other arguments are those of `RoutedConfig`.
    """

    collaboration: bool = field(
        default=True,
        metadata={
            "help": "Whether the experts share one A of k * r rows. If False, k separate A matrices are stored as [k, r, d]. "
            "Both compute the same function of the same numbers."
        },
    )
    competition: bool = field(
        default=True,
        metadata={"help": "Whether to multiply the softmax gate weights by a learnable k x k interaction matrix."},
    )
    router_hidden: int = field(
        default=0,
        metadata={
            "help": "Number of hidden units of the router. 0 means one linear layer without bias; otherwise the router is a "
            "two-layer perceptron without biases and with SiLU activation."
        },
    )

    def __post_init__(self) -> None:
        if self.gate_sum is None and self.gate_scale is None:
            self.gate_sum = "free"
        super().__post_init__()
        self.peft_type = PeftType["TEAMLORA"]
        if self.router_hidden < 0:
            raise ValueError(f"router_hidden must be at least 0, but is {self.router_hidden}.")
