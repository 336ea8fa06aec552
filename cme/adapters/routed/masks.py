"""Switching experts off during evaluation, without retraining.

The following example scores a model with the best expert of each token only::

    with masked_experts(model, "top1", "renormalise") as counts:
        model(**batch)
    counts.guarded / counts.positions  # share of gate weights that could not be renormalised
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from cme.adapters.routed.gates import routed_layers
from cme.adapters.routed.layer import RoutedLinear
from cme.errors import UsageError, unknown

__all__ = ["HOW", "TOP1", "GateMask", "How", "Keep", "MaskCounts", "masked_experts"]

How = Literal["zero", "renormalise"]

HOW: tuple[How, ...] = get_args(How)
"""The ways to treat the gate weights of the remaining experts."""

TOP1 = "top1"
"""Keep the expert with the largest gate weight of each token."""

Keep = str | Collection[int] | Sequence[Collection[int]] | Mapping[str, Collection[int]]
"""Which experts remain: `TOP1`, numbers of experts for all layers, or such numbers for each layer, in order or by name."""

_LEAST_SHARE = 0.01
"""Gate weights are not renormalised if the kept ones sum to less than this share of all, or to another sign."""


class MaskCounts:
    """Counts over the forward passes inside `masked_experts`.

    Attributes:
        positions: number of gate weight vectors: positions times layers. Padding counts unless `only` was called.
        guarded: number of those that were not renormalised, because the kept gate weights nearly cancel or change the sign.
    """

    def __init__(self) -> None:
        self.positions = 0
        self._guarded: list[Tensor] = []
        self._used: Tensor | None = None
        self._number = 0

    @property
    def guarded(self) -> int:
        """Number of gate weight vectors that were not renormalised."""
        total = sum(int(part) for part in self._guarded)
        self._guarded = [torch.tensor(total)]
        return total

    def only(self, used: Tensor) -> None:
        """Count only some positions of the next forward passes.

        Args:
            used: whether each position counts, [batch, length] on the device of the model. Padding does not.
        """
        self._used, self._number = used.bool(), int(used.bool().sum())

    def add(self, guarded: Tensor | None, shape: torch.Size) -> None:
        """Count one call.

        Args:
            guarded: whether each gate weight vector was guarded, [...], which stays on its device. None if nothing was
                renormalised.
            shape: shape of the gate weights, [..., k].
        """
        used = self._used if self._used is not None and self._used.numel() == shape[:-1].numel() else None
        self.positions += shape[:-1].numel() if used is None else self._number
        if guarded is not None:
            guarded = (guarded if used is None else guarded & used.reshape(guarded.shape)).sum().detach()
            self._guarded = (
                [*self._guarded, guarded] if len(self._guarded) < 1000 else [torch.tensor(self.guarded), guarded]
            )


class GateMask:
    """Sets the gate weights of some experts to zero.

    Args:
        kept: numbers of the remaining experts, or None for the one with the largest gate weight of each token.
        how: ``"zero"`` keeps the other gate weights as they are. ``"renormalise"`` scales them to the sum before.
        counts: counts that are updated.
    """

    def __init__(self, kept: Collection[int] | None, how: How, counts: MaskCounts) -> None:
        self.kept = None if kept is None else frozenset(kept)
        self._how, self._counts = how, counts
        self._factors: Tensor | None = None

    def __call__(self, gates: Tensor) -> Tensor | None:
        """Return the masked gate weights [..., k], or None if no expert remains."""
        experts = gates.shape[-1]
        if self.kept is not None and len(self.kept) == experts:
            return gates
        if self.kept is not None and not self.kept:
            self._counts.add(None, gates.shape)
            return None
        masked = gates * self._chosen(gates)
        if self._how == "renormalise":
            return self._renormalised(gates, masked)
        self._counts.add(None, gates.shape)
        return masked

    def _chosen(self, gates: Tensor) -> Tensor:
        """Return 1 for each expert that remains and 0 for the others, [k] or [..., k]."""
        if self.kept is None:
            best = gates.argmax(dim=-1, keepdim=True)
            return torch.zeros_like(gates).scatter_(-1, best, 1.0)
        if self._factors is None or self._factors.device != gates.device or self._factors.dtype != gates.dtype:
            self._factors = torch.tensor(
                [float(expert in self.kept) for expert in range(gates.shape[-1])],
                dtype=gates.dtype,
                device=gates.device,
            )
        return self._factors

    def _renormalised(self, gates: Tensor, masked: Tensor) -> Tensor:
        before, after = gates.sum(dim=-1, keepdim=True), masked.sum(dim=-1, keepdim=True)
        sound = after * before.sign() > _LEAST_SHARE * before.abs()
        self._counts.add(~sound.squeeze(-1), gates.shape)
        return masked * torch.where(sound, before / torch.where(sound, after, 1.0), 1.0)


@contextmanager
def masked_experts(
    model: nn.Module, keep: Keep, how: How = "zero", *, adapter_name: str | None = None
) -> Iterator[MaskCounts]:
    """Use only some experts of a routed adapter until the context ends, also if it ends by an exception.

    The router is not changed. If no expert remains, the outputs are those of the base, and if all remain, those of the adapter,
    in both cases bitwise. Gate weights that are recorded inside the context (`cme.adapters.routed.gates`) are those of the
    router, before the mask. Expert 0 of one layer has nothing to do with expert 0 of another, so to keep an expert by its
    number keeps an arbitrary bundle of experts.

    Args:
        model: The model, with or without PEFT's wrapper.
        keep: ``"top1"`` for the expert with the largest gate weight of each token, the numbers of the remaining experts for all
            layers, such numbers for each layer in the order of the model's modules, or a mapping from names of layers (see
            `recorded_gates`) to numbers. A mapping leaves other layers as they are.
        how: ``"zero"``, or ``"renormalise"`` to scale the remaining gate weights to the sum of all gate weights of the token.
            TeamLoRA's gate weights can be negative: if those that remain sum to less than 1 % of that sum, or to the opposite
            sign, they are not scaled. The counts tell how often.
        adapter_name: The adapter's name. By default the active adapter.

    Yields:
        The counts.

    Raises:
        UsageError: The model has no adapter with experts, an expert or a layer does not exist, or ``how`` is unknown.
    """
    if how not in HOW:
        raise unknown("way to mask experts", how, HOW)
    name = adapter_name or _active(model)
    layers = {path: layer for path, layer in routed_layers(model).items() if name in layer.plans}
    if not layers:
        raise UsageError(f"adapter {name!r} has no experts, so none can be masked. Use an adapter of a routed method.")
    counts = MaskCounts()
    masks = {path: GateMask(kept, how, counts) for path, kept in _by_layer(keep, layers, name).items()}
    before = {path: layers[path].masks.get(name) for path in masks}
    for path, mask in masks.items():
        layers[path].masks[name] = mask
    try:
        yield counts
    finally:
        for path, earlier in before.items():
            if earlier is None:
                layers[path].masks.pop(name, None)
            else:
                layers[path].masks[name] = earlier


def _by_layer(keep: Keep, layers: Mapping[str, RoutedLinear], name: str) -> dict[str, Collection[int] | None]:
    """Return the remaining experts of each masked layer, or None for the best of each token."""
    if isinstance(keep, str):
        if keep != TOP1:
            raise unknown("set of experts", keep, (TOP1,))
        return dict.fromkeys(layers)
    if isinstance(keep, Mapping):
        if strange := next((path for path in keep if path not in layers), None):
            raise unknown("layer with experts", strange, layers)
        chosen: dict[str, Collection[int] | None] = dict(keep)
    elif keep and all(isinstance(item, Collection) for item in keep):
        if len(keep) != len(layers):
            raise UsageError(
                f"there are sets of experts for {len(keep)} layers, but the adapter has {len(layers)} layers with experts. "
                "Give one set per layer."
            )
        chosen = dict(zip(layers, keep, strict=True))  # type: ignore[arg-type]
    else:
        chosen = dict.fromkeys(layers, keep)  # type: ignore[arg-type]
    for path, numbers in chosen.items():
        _check(numbers or (), int(layers[path].plans[name].config.experts))
    return chosen


def _check(numbers: Collection[Any], experts: int) -> None:
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < experts:
            raise UsageError(f"there is no expert {number!r}. This adapter has the experts 0 to {experts - 1}.")


def _active(model: nn.Module) -> str:
    layer = next(iter(routed_layers(model).values()), None)
    if layer is None:
        raise UsageError(
            "the model has no adapter with experts, so none can be masked. Use an adapter of a routed method."
        )
    return str(layer.active_adapters[0])
