"""Configuration of MoSLoRA."""

from dataclasses import dataclass

from peft import PeftType

from cme.adapters.low_rank.config import LowRankConfig

__all__ = ["MosLoraConfig"]


@dataclass
class MosLoraConfig(LowRankConfig):
    """Configuration of MoSLoRA (arXiv 2406.11909): LoRA with a learnable r x r mixer M between A and B.

    M and A combine into one matrix, A' = M A. A trained adapter can therefore be merged into the base and exported to plain
    LoRA (`cme.adapters.moslora.export_lora`) without loss.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["MOSLORA"]
