"""Configuration of TeamLoRA."""

from dataclasses import dataclass, field

from peft import PeftType

from cme.adapters.routed.config import RoutedConfig

__all__ = ["TeamLoraConfig"]


@dataclass
class TeamLoraConfig(RoutedConfig):
    """TeamLoRA (arXiv 2408.09856): experts that share one A and compete by an interaction matrix.

    Without ``collaboration`` and ``competition`` this is MoELoRA with a gate per token, the paper's baseline. Stacking
    MoELoRA's A matrices gives exactly TeamLoRA's A, so ``collaboration`` alone changes no output, no parameter count
    and no distribution at the start; only the stored shape tells the two apart. It is here because it is a row of the
    paper's ablation.
    """

    collaboration: bool = field(
        default=True,
        metadata={
            "help": "True: one shared A of k*r rows, split between the experts. False: k separate A matrices, stored "
            "as [k, r, d]. Both are the same function of the same numbers."
        },
    )
    competition: bool = field(
        default=True,
        metadata={"help": "True: softmax, then the learnable k x k interaction matrix. False: softmax."},
    )
    router_hidden: int = field(
        default=0,
        metadata={
            "help": "0: the router is one linear layer without bias. More: a two-layer perceptron without biases, with "
            "that many hidden units and SiLU between."
        },
    )

    def __post_init__(self) -> None:
        if self.gate_sum is None and self.gate_scale is None:
            self.gate_sum = "free"
        super().__post_init__()
        self.peft_type = PeftType["TEAMLORA"]
        if self.router_hidden < 0:
            raise ValueError(f"router_hidden must be at least 0, found {self.router_hidden}.")
