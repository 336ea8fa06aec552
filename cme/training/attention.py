"""Attention that trains fast on a CPU in bfloat16."""

from typing import Any

import torch

__all__ = ["choose_attention"]

_NAME = "cme_sdpa"

_SHORT = 192
"""Up to this length in tokens, plain attention is faster than the fused kernel on a CPU in bfloat16, because the backward
pass of the fused kernel does not use bfloat16 products. Measured with SmolLM2-135M on an EPYC with avx512_bf16: a third more
tokens per second at 80 tokens, and a sixth more at 150. For longer inputs, the memory of plain attention is too large. It
grows with the square of the length."""

_FLOAT32 = 224
"""Up to this length in tokens, the fused kernel is faster in float32 than in bfloat16, for the same reason. ``python -m
benchmarks.attention`` measures it."""


def choose_attention(model: Any, longest: int) -> None:
    """Choose the attention of a model that is trained on a CPU in bfloat16.

    Args:
        model: The base.
        longest: The number of tokens of the longest example.
    """
    if longest <= _SHORT:
        model.set_attn_implementation("eager")
    elif model.config._attn_implementation == "sdpa":
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import sdpa_mask

        AttentionInterface.register(_NAME, _attention)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        model.set_attn_implementation(_NAME)


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """Compute transformers' ``sdpa`` attention, in float32 if a batch is short and has gradients."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    dtype = query.dtype
    if dtype != torch.bfloat16 or not query.requires_grad or query.shape[2] > _FLOAT32:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
        return output, None
    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask.float()
    # Autocast would cast the inputs to bfloat16 again.
    with torch.autocast(query.device.type, enabled=False):
        output, _ = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), attention_mask, **settings
        )
    return output.to(dtype), None
