"""The matrices of a routed layer, and the plain LoRA that results if its gate weights are constant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cme.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Matrices", "constant_gates", "gated_down", "gated_values", "read_matrices"]

_ROWS = 512
"""Rows of the identity matrix that are sent through a layer at once."""

_ROUNDING = 1e-3
"""Largest difference of outputs from s · Σ gᵢ Bᵢ Aᵢ x that counts as rounding, relative to the largest output."""


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

    If the method does not name its matrices (`RoutedLinear.expert_matrices`), A is what the layer makes of the identity matrix.
    The names and the layout of its parameters do not matter then.

    Args:
        path: name of the layer, for the message.
        layer: a `RoutedLinear`.
        adapter_name: name of the adapter.

    Raises:
        UsageError: the experts are not products of matrices, so that no LoRA can stand for them.
    """
    import torch

    plan = layer.plans[adapter_name]
    own = layer.own(layer.adapter_layer_names[0], adapter_name)
    experts, scaling = int(plan.config.experts), float(plan.scaling)

    def hidden(x: "Tensor") -> "tuple[Tensor, Tensor]":
        x = x.to(device=own.device, dtype=own.dtype)
        # The router sees zeros, because A does not depend on it.
        values, _, up = layer.route(adapter_name, plan.config, torch.zeros_like(x), x)
        return values.reshape(len(x), -1), up

    with torch.no_grad():
        if (named := layer.expert_matrices(adapter_name)) is not None:
            down, up = named[0].double().flatten(0, 1), named[1].double().permute(1, 0, 2).flatten(1)
        else:
            identity = torch.eye(layer.in_features)
            parts = [hidden(identity[start : start + _ROWS]) for start in range(0, layer.in_features, _ROWS)]
            down = torch.cat([values for values, _ in parts]).double().T.contiguous()
            up = parts[0][1].double()
        matrices = Matrices(down, up, experts, scaling)
        fits = up.shape[1] % experts == 0 and len(down) in (up.shape[1], matrices.rank)
        if not fits or not _is_product(layer, adapter_name, matrices, hidden):
            raise UsageError(
                f"the experts of the layer {path} ({type(layer).__name__}) are not products of two matrices, so plain LoRA "
                "cannot express them. Only methods whose experts compute B A x can be exported."
            )
    return matrices


def _is_product(layer: Any, adapter_name: str, matrices: Matrices, hidden: "Callable[[Tensor], Any]") -> bool:
    """Return whether a layer adds s · Σ gᵢ Bᵢ Aᵢ x for inputs x and gate weights g that are drawn at random."""
    import torch

    own = layer.own(layer.adapter_layer_names[0], adapter_name)
    draw = torch.Generator().manual_seed(0)
    probe = torch.rand(4, layer.in_features, generator=draw).to(own)
    gates = torch.rand(4, matrices.experts, generator=draw).to(own.device)
    values, up = hidden(probe)
    zeros = torch.zeros(4, layer.out_features, dtype=own.dtype, device=own.device)
    added = layer.combine(zeros, adapter_name, values, gates, up, matrices.scaling).double()
    gated = gated_values(matrices, probe.double() @ matrices.down.T, gates.double())
    expected = matrices.scaling * gated @ matrices.up.T
    # Half-precision weights round more than this probe needs.
    rounding = _ROUNDING if own.dtype == torch.float32 else 0.05
    return bool((added - expected).abs().max() <= rounding * expected.abs().max().clamp(min=1e-30))


def gated_values(matrices: Matrices, hidden: "Tensor", gates: "Tensor") -> "Tensor":
    """Return the hidden values times the gate weights, [n, k·r].

    Args:
        matrices: the matrices of the layer.
        hidden: the hidden values A x, [n, k·r], or [n, r] if the experts share A.
        gates: the gate weights, [n, k].
    """
    count = len(hidden)
    gated: Tensor = hidden.reshape(count, -1, matrices.rank) * gates.reshape(count, matrices.experts, 1)
    return gated.reshape(count, -1)


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
