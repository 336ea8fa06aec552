"""The forms of attention, and the CPU time of their forward and backward pass."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["FORMS", "Measured", "measure_length"]

Form = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def _fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _float32(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return _fused(query.float(), key.float(), value.float(), mask).to(query.dtype)


def _plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
    weights = torch.softmax(weights.masked_fill(~mask, -torch.inf), dim=-1, dtype=torch.float32)
    return weights.to(query.dtype) @ value


FORMS: dict[str, Form] = {"fused": _fused, "fused in float32": _float32, "plain": _plain}
"""Transformers' ``sdpa`` in the dtype of the model, the same in float32, and transformers' ``eager``."""


@dataclass(frozen=True)
class Measured:
    """Times of one length.

    Attributes:
        length: number of tokens.
        seconds: median CPU time of a forward and a backward pass by form.
    """

    length: int
    seconds: dict[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """Time of each form divided by that of the fused kernel in bfloat16."""
        return {name: spent / self.seconds["fused"] for name, spent in self.seconds.items()}


def measure_length(length: int, *, batch: int, heads: int, width: int, rounds: int) -> Measured:
    """Measure all forms on causal attention in bfloat16, in alternating order.

    Args:
        length: number of tokens of each example.
        batch: number of examples.
        heads: number of heads.
        width: width of a head.
        rounds: number of rounds after a first one that does not count.

    Raises:
        RuntimeError: a form computes something else than the fused kernel.
    """
    draw = torch.Generator().manual_seed(0)
    inputs = [torch.randn(batch, heads, length, width, generator=draw).bfloat16().requires_grad_() for _ in range(3)]
    query, key, value = inputs
    mask = torch.ones(length, length).tril().bool().expand(batch, 1, length, length)
    spent: dict[str, list[float]] = {name: [] for name in FORMS}
    outputs: dict[str, torch.Tensor] = {}
    for number in range(rounds + 1):
        for name, form in FORMS.items():
            begun = time.process_time()
            output = form(query, key, value, mask)
            output.sum().backward()  # type: ignore[no-untyped-call]
            if number:
                spent[name].append(time.process_time() - begun)
            outputs[name] = output.detach()
    for name, output in outputs.items():
        if not torch.allclose(output.float(), outputs["fused"].float(), atol=0.05):
            raise RuntimeError(f"the form {name!r} computes something else than the fused kernel")
    return Measured(length, {name: statistics.median(times) for name, times in spent.items()})
