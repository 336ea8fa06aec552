"""Sums of gate weights over many forward passes: by layer and group of rows, and by row over all layers.

The following example measures the load of the experts over two groups of prompts::

    with gate_sums(model, group_of_row=[0, 0, 1]) as sums, torch.no_grad():
        for batch, rows in batches:          # rows[b, t] is the number of the row of a token, or -1 for padding
            model(**batch)
            sums.update(rows)
    sums.by_layer()["model.layers.0.mlp.up_proj"].mean("phi")  # [2, k]
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cme.adapters.routed.gates import recorded_gates
from cme.adapters.routed.layer import RoutedLinear
from cme.errors import CMEError, UsageError

__all__ = ["CONFIDENT", "GateSums", "Totals", "gate_sums"]

CONFIDENT = 0.9
"""A router is confident about a token if one expert has a larger value φ than this."""

Array = NDArray[np.float64]

_CHUNK = 2**24
"""Most values of what is summed that are computed at once."""

_PER_EXPERT = ("phi", "gates", "size", "negative", "top_phi", "top_gate")
_PER_TOKEN = ("tokens", "entropy", "confident", "disagreement")


@dataclass(frozen=True, eq=False)
class Totals:
    """Sums over the tokens of G groups, for k experts.

    Attributes:
        tokens: number of tokens, [G]. In totals over layers, every token counts once per layer.
        phi: sums of the router's values φ, [G, k]. The values of one token are not negative and sum to 1.
        gates: sums of the gate weights ω, [G, k].
        size: sums of |ω| / Σ|ω|, [G, k].
        negative: numbers of negative gate weights, [G, k].
        top_phi: numbers of tokens with the largest φ at each expert, [G, k]. NaN if gate weights tie by construction.
        top_gate: numbers of tokens with the largest ω at each expert, [G, k]. NaN as for ``top_phi``.
        entropy: sums of the entropy of φ in nats, [G].
        confident: numbers of tokens with a value φ above `CONFIDENT`, [G].
        disagreement: numbers of tokens whose largest ω and largest φ are at different experts, [G].
    """

    tokens: Array
    phi: Array
    gates: Array
    size: Array
    negative: Array
    top_phi: Array
    top_gate: Array
    entropy: Array
    confident: Array
    disagreement: Array

    def mean(self, name: str) -> Array:
        """Return a sum divided by the number of tokens, NaN for groups without tokens.

        Args:
            name: name of an attribute.
        """
        values: Array = getattr(self, name)
        tokens = np.where(self.tokens > 0, self.tokens, np.nan)
        quotient: Array = values / (tokens[:, None] if values.ndim == 2 else tokens)
        return quotient

    @classmethod
    def of(cls, sums: Array, experts: int) -> "Totals":
        """Return totals from the columns of ``sums``, [G, 4 + 6k]."""
        first = len(_PER_TOKEN)
        values = {name: sums[:, column] for column, name in enumerate(_PER_TOKEN)}
        values |= {
            name: sums[:, first + place * experts : first + (place + 1) * experts]
            for place, name in enumerate(_PER_EXPERT)
        }
        return cls(**values)


class GateSums:
    """Adds up the gate weights of forward passes. See `gate_sums`.

    Args:
        layers: the routed layers that record their gate weights.
        group_of_row: the group of each row, from 0.
        adapter_name: name of the adapter.
    """

    def __init__(self, layers: Mapping[str, RoutedLinear], group_of_row: Sequence[int], adapter_name: str) -> None:
        self._layers, self._name = layers, adapter_name
        config = next(iter(layers.values())).plans[adapter_name].config
        self._experts, self._ties = int(config.experts), config.ties(vars(config))
        self._groups = torch.as_tensor(np.asarray(group_of_row, dtype=np.int64))
        columns = len(_PER_TOKEN) + len(_PER_EXPERT) * self._experts
        # Many experts in many layers would take gigabytes for all tokens of a batch at once.
        self._tokens = max(1, _CHUNK // (len(layers) * columns))
        groups = int(self._groups.max()) + 1 if len(self._groups) else 0
        self._by_layer = torch.zeros(groups, len(layers), columns, dtype=torch.float64)
        self._by_row = torch.zeros(len(self._groups), columns, dtype=torch.float64)

    def update(self, rows: Tensor) -> None:
        """Add the gate weights of the last forward pass.

        Args:
            rows: number of the row of each token, [batch, length]. Tokens with -1 do not count, such as padding.

        Raises:
            CMEError: a layer with experts was not used, or saw another number of tokens.
        """
        flat = rows.reshape(-1)
        used = (flat >= 0).nonzero().squeeze(-1)
        recorded = {
            kind: [self._recorded(path, layer, kind, len(flat)) for path, layer in self._layers.items()]
            for kind in ("values", "gates")
        }
        for part in torch.split(used, self._tokens):
            phi, gates = (
                torch.stack([values[part.to(values.device)] for values in recorded[kind]], dim=1).float()
                for kind in ("values", "gates")
            )
            sums = _columns(phi, gates, self._ties).cpu().double()
            chosen = flat[part].cpu()
            self._by_layer.index_add_(0, self._groups[chosen], sums)
            self._by_row.index_add_(0, chosen, sums.sum(dim=1))

    def by_layer(self) -> dict[str, Totals]:
        """Return the totals of the groups by name of the layer."""
        return {
            path: Totals.of(self._by_layer[:, place].numpy(), self._experts) for place, path in enumerate(self._layers)
        }

    def by_row(self) -> Totals:
        """Return the totals of the rows over all layers, in which each token counts once per layer."""
        return Totals.of(self._by_row.numpy(), self._experts)

    def _recorded(self, path: str, layer: RoutedLinear, kind: str, tokens: int) -> Tensor:
        """Return recorded values as [tokens, k] and remove them from the layer."""
        values = getattr(layer, kind).pop(self._name, None) if kind == "values" else layer.gates.get(self._name)
        if values is None:
            raise CMEError(f"the layer {path} was not used in the forward pass, so its gate weights are unknown.")
        flat: Tensor = values.detach().reshape(-1, self._experts)
        if len(flat) != tokens:
            raise CMEError(
                f"the layer {path} computed gate weights of {len(flat)} tokens, but the batch has {tokens}. The load of its "
                "experts cannot be assigned to rows."
            )
        return flat


def _columns(phi: Tensor, gates: Tensor, ties: bool) -> Tensor:
    """Return what is summed, from φ and ω [tokens, layers, k]: [tokens, layers, 4 + 6k]. Without a best expert if they tie."""
    best_phi, best_gate = phi.argmax(-1), gates.argmax(-1)
    experts = phi.shape[-1]
    size = gates.abs()
    per_token = torch.stack(
        [
            torch.ones_like(phi[..., 0]),
            -torch.xlogy(phi, phi).sum(-1),
            (phi.amax(-1) > CONFIDENT).float(),
            (best_phi != best_gate).float(),
        ],
        dim=-1,
    )
    per_expert = [
        phi,
        gates,
        size / size.sum(-1, keepdim=True).clamp(min=1e-30),
        (gates < 0).float(),
    ]
    if ties:
        per_expert += [torch.full_like(phi, math.nan)] * 2
    else:
        per_expert += [nn.functional.one_hot(best, experts).float() for best in (best_phi, best_gate)]
    return torch.cat([per_token, *per_expert], dim=-1)


@contextmanager
def gate_sums(model: nn.Module, group_of_row: Sequence[int], *, adapter_name: str = "default") -> Iterator[GateSums]:
    """Add up the gate weights of the forward passes inside the context. Memory does not grow with their number.

    Call `GateSums.update` after each forward pass. The sums are in float64.

    Args:
        model: The model, with or without PEFT's wrapper.
        group_of_row: The group of each row, such as its dataset, from 0.
        adapter_name: The adapter's name.

    Raises:
        UsageError: The adapter has no experts, or its layers have different numbers of experts.
    """
    with recorded_gates(model) as layers:
        chosen = {path: layer for path, layer in layers.items() if adapter_name in layer.plans}
        numbers = {int(layer.plans[adapter_name].config.experts) for layer in chosen.values()}
        if not chosen:
            raise UsageError(f"adapter {adapter_name!r} has no experts, so they have no load. Use a routed method.")
        if len(numbers) > 1:
            raise UsageError(
                f"the layers of adapter {adapter_name!r} have different numbers of experts: "
                f"{', '.join(map(str, sorted(numbers)))}. Their load cannot be added up."
            )
        yield GateSums(chosen, group_of_row, adapter_name)
