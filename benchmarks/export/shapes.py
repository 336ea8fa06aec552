"""The sums of `cme.export.fit` for the shapes of whole models. Everything here is computed, nothing is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cme.export.fit import LIMIT, groups_of, state_bytes

__all__ = ["MODELS", "Plan", "plan_of"]

MODELS: Mapping[str, tuple[int, int, int]] = {
    "SmolLM2-135M": (30, 576, 1536),
    "Qwen2.5-1.5B": (28, 1536, 8960),
    "Llama-2-7B": (32, 4096, 11008),
    "Llama-3.1-8B": (32, 4096, 14336),
}
"""Number of blocks, hidden size and intermediate size of some bases, from their configurations."""


@dataclass(frozen=True)
class Plan:
    """How the layers of a model are streamed.

    Attributes:
        largest: bytes of the sums of the largest layer.
        total: bytes of the sums of all layers, which are never held together if they exceed the limit.
        passes: passes over the validation rows.
        peak: most bytes of the sums of one pass, and of the factor of the largest layer that is solved after it.
    """

    largest: int
    total: int
    passes: int
    peak: int


def plan_of(blocks: int, hidden: int, intermediate: int, columns: int, limit: int = LIMIT) -> Plan:
    """Compute the plan for the three feed-forward projections of every block.

    Args:
        blocks: number of blocks.
        hidden: hidden size.
        intermediate: intermediate size.
        columns: rank of all experts together, k·r.
        limit: most bytes of a group.
    """
    sizes = {
        f"{block}.{name}": state_bytes(inputs, columns)
        for block in range(blocks)
        for name, inputs in (("gate", hidden), ("up", hidden), ("down", intermediate))
    }
    groups = groups_of(sizes, limit)
    # Solving copies the penalised XᵀX and computes its factor.
    return Plan(
        largest=max(sizes.values()),
        total=sum(sizes.values()),
        passes=len(groups),
        peak=max(_bytes(group, sizes) for group in groups) + 2 * 8 * max(hidden, intermediate) ** 2,
    )


def _bytes(group: Sequence[str], sizes: Mapping[str, int]) -> int:
    return sum(sizes[path] for path in group)
