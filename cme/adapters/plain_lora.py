"""The configuration of PEFT's LoRA for an adapter of CME that is converted to plain LoRA."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peft import LoraConfig

    from cme.adapters.low_rank.config import LowRankConfig

__all__ = ["plain_config"]

_KEPT = (
    *("target_modules", "exclude_modules", "modules_to_save", "layers_to_transform", "layers_pattern", "task_type"),
    *("base_model_name_or_path", "revision", "inference_mode"),
)


def plain_config(config: "LowRankConfig", *, rank: int, alpha: float, dropout: float) -> "LoraConfig":
    """Create a configuration of LoRA for the same layers of the same base.

    Args:
        config: The configuration of the converted adapter.
        rank: Rank of the LoRA adapter.
        alpha: Its ``lora_alpha``. PEFT scales the adapter's output by ``alpha / rank``.
        dropout: Its dropout in training.
    """
    from peft import LoraConfig

    own = f"{config.peft_type.value.lower()}_only"
    return LoraConfig(
        **{name: getattr(config, name) for name in _KEPT},
        r=rank,
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,
        lora_dropout=dropout,
        bias="lora_only" if config.bias == own else config.bias,
    )
