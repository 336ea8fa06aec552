"""Configuration of SMoRA."""

from dataclasses import dataclass, field
from typing import ClassVar

from peft import PeftType

from cme.adapters.routed.rankwise import RankwiseConfig

__all__ = ["SMoraConfig"]


@dataclass
class SMoraConfig(RankwiseConfig):
    """Configuration of SMoRA (arXiv 2501.15103): every rank is an expert, and a router chooses ``top_k`` of them per token.

    The arguments are those of `RankwiseConfig`. The authors use r = 64, top_k = 8 and a scale of 16, which is ``lora_alpha``
    = 128 here.
    """

    fewest: ClassVar[int] = 2
    why_fewest: ClassVar[str] = (
        " The gate weight of a single rank is always 1 after the division by the sum, so the router would get no gradient."
    )

    r: int = field(default=64, metadata={"help": "Rank R of the adapter. Every rank is an expert."})
    lora_alpha: float = field(
        default=128, metadata={"help": "The output is scaled by lora_alpha / r for each chosen rank on average."}
    )
    bias_step: float = field(
        default=1e-5,
        metadata={"help": "How far the selection bias of a rank moves in an optimiser step. 0 turns the bias off."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["SMORA"]
