"""Configuration of HydraLoRA."""

from dataclasses import dataclass

from peft import PeftType

from cme.adapters.routed.config import RoutedConfig

__all__ = ["HydraLoraConfig"]


@dataclass
class HydraLoraConfig(RoutedConfig):
    """Configuration of HydraLoRA (arXiv 2404.19245): one A of rank r for all experts, a B for each, and a router."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["HYDRALORA"]
