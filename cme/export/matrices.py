"""The matrices of a routed layer, and the plain LoRA that results if its gate weights are constant."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cme.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Matrices", "constant_gates", "gated_down", "read_matrices"]

_ROWS = 512
"""Rows of the identity matrix that are sent through a layer at once."""

_ROUNDING = 1e-3
"""Largest difference of hidden values from A x that counts as rounding, relative to the largest hidden value."""


@dataclass(frozen=True, eq=False)
class Matrices:
    """The matrices of a routed layer with d inputs, m outputs and k experts of rank r.

    Attributes:
        down: A in float64: [k·r, d] with the experts' rows stacked, or [r, d] if all experts share it.
        up: the matrices B of the experts side by side in float64, [m, k·r].
        experts: number of experts, k.
        scaling: the factor of the layer's output.
    """

    down: "Tensor"
    up: "Tensor"
    experts: int
    scaling: float

    @property
    def rank(self) -> int:
        """Rank of one expert, r."""
        return int(self.up.shape[1]) // self.experts

    @property
    def shared(self) -> bool:
        """Whether the experts share A."""
        return self.experts > 1 and len(self.down) == self.rank


def read_matrices(path: str, layer: Any, adapter_name: str = "default") -> Matrices:
    """Read the matrices of a layer of any routed method.

    A is what the layer makes of the identity matrix, so its name and its layout do not matter.

    Args:
        path: name of the layer, for the message.
        layer: a `RoutedLinear`.
        adapter_name: name of the adapter.

    Raises:
        UsageError: the hidden values of the method are not A x, so that no LoRA can replace them.
    """
    import torch

    from cme.adapters.routed.layer import RoutedLinear

    plan = layer.plans[adapter_name]
    own = layer.own(layer.adapter_layer_names[0], adapter_name)
    given = layer.expert_matrices(adapter_name)
    # A method that combines the experts in its own way has other matrices B than `route` returns.
    if given is None and type(layer).combine is not RoutedLinear.combine:
        raise UsageError(
            f"the layer {path} ({type(layer).__name__}) combines its experts in its own way and does not give their matrices, so "
            "plain LoRA cannot express it. Only methods whose experts are products of two matrices can be exported."
        )

    def hidden(x: "Tensor") -> "tuple[Tensor, Tensor]":
        x = x.to(device=own.device, dtype=own.dtype)
        # The router sees zeros, because A does not depend on it.
        values, _, up = layer.route(adapter_name, plan.config, torch.zeros_like(x), x)
        if given is not None:
            up = given[1].permute(1, 0, 2).flatten(1)
        return values.double().reshape(len(x), -1), up.detach()

    with torch.no_grad():
        identity = torch.eye(layer.in_features)
        parts = [hidden(identity[start : start + _ROWS]) for start in range(0, layer.in_features, _ROWS)]
        down, up = torch.cat([values for values, _ in parts]).T.contiguous(), parts[0][1].double()
        matrices = Matrices(down, up, int(plan.config.experts), float(plan.scaling))
        draw = torch.Generator().manual_seed(0)
        probe = torch.rand(4, layer.in_features, generator=draw).to(own.dtype)
        computed, expected = hidden(probe)[0], probe.to(own.device).double() @ down.T
    # Half-precision weights round more than this probe needs.
    rounding = _ROUNDING if own.dtype == torch.float32 else 0.05
    off = float((computed - expected).abs().max())
    if len(down) not in (up.shape[1], matrices.rank) or not off <= rounding * max(float(expected.abs().max()), 1e-30):
        raise UsageError(
            f"the layer {path} ({type(layer).__name__}) does not compute its hidden values as A x, so plain LoRA cannot "
            "express it. Only methods whose experts are products of two matrices can be exported."
        )
    return matrices


def gated_down(matrices: Matrices, gates: "Tensor") -> "Tensor":
    """Return A with the rows of each expert multiplied by its gate weight, in float64: [k·r, d].

    Args:
        matrices: the matrices of the layer.
        gates: a constant gate weight for each expert, [k].
    """
    rows = gates.double().to(matrices.down.device).repeat_interleave(matrices.rank)
    down = matrices.down.repeat(matrices.experts, 1) if matrices.shared else matrices.down
    return rows[:, None] * down


def constant_gates(matrices: Matrices, gates: "Tensor") -> "tuple[Tensor, Tensor]":
    """Return the plain LoRA of a layer whose gate weights are constant.

    A stays, and each Bᵢ is multiplied by its gate weight and the layer's scaling. Experts that share A add up to one B, so the
    rank is r then, and k·r otherwise.

    Args:
        matrices: the matrices of the layer.
        gates: a constant gate weight for each expert, [k].

    Returns:
        A [R, d] and B [m, R] in float64, whose product is the whole update.
    """
    columns = gates.double().to(matrices.up.device).repeat_interleave(matrices.rank) * matrices.scaling
    up = matrices.up * columns
    if matrices.shared:
        up = up.reshape(len(up), matrices.experts, matrices.rank).sum(dim=1)
    return matrices.down, up
