"""Selection biases: an expert that was chosen too rarely gets a larger bias, and is chosen more often.

The bias of an expert moves by a fixed step towards balance, once per optimiser step: up if the expert was chosen by fewer tokens
than the mean over the experts, down if by more. It has no gradient. This replaces a balance term of the loss (Wang et al., arXiv
2408.15664, for mixtures of experts; SMoRA and FlyLoRA for ranks).

The counts of all forward passes since the last optimiser step are added up, over gradient accumulation and over all processes,
without padding. Evaluation, and the second forward pass of gradient checkpointing, do not count. A hook of PyTorch notices the
optimiser's step, so the biases move with every trainer and training loop whose optimiser holds the adapter's own parameters.
Optimisers with flat or partitioned copies are not recognised, and cause one warning.
"""

import functools
import warnings
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from cme.errors import CMEWarning

__all__ = ["BiasMover", "chosen_counts"]

_PATIENCE = 2
"""Number of optimiser steps without an effect on counted tokens after which a warning is shown."""

_MOVERS: "WeakSet[BiasMover]" = WeakSet()


def chosen_counts(gates: Tensor, mask: Tensor | None) -> Tensor:
    """Count the tokens that use each expert.

    Args:
        gates: Gate weights, [..., k], which are 0 for experts that a token does not use.
        mask: 0 for padding, in the shape of the tokens, or None.

    Returns:
        The counts [k] in float32.
    """
    chosen = gates.detach() != 0
    if mask is not None:
        chosen = chosen & mask.bool().unsqueeze(-1)
    return chosen.flatten(0, -2).sum(0, dtype=torch.float32)


class BiasMover:
    """Moves the selection biases of the layers of one base model after every optimiser step.

    Args:
        layers: All routed layers of the model. The list can grow.
    """

    def __init__(self, layers: list[Any]) -> None:
        self._layers = layers
        self._unmatched = 0
        self._watch()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy of the object, which belongs to a copy of the model."""
        self.__dict__.update(state)
        self._watch()

    def _watch(self) -> None:
        _hook()
        _MOVERS.add(self)

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Move the biases of the adapters that an optimiser trains, and set their counts to 0.

        Under torch.distributed, every process must call this method, because the counts are summed over all of them.
        """
        trained = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        moved = [
            (layer, name, step)
            for layer in self._layers
            for name, plan in layer.plans.items()
            if (step := getattr(plan.config, "bias_step", 0.0))
            and id(layer.own(layer.adapter_layer_names[0], name)) in trained
        ]
        if not moved:
            self._note_unmatched()
            return
        self._unmatched = 0
        counts = [layer.counts_of(name) for layer, name, _ in moved]
        flat = torch.cat([part.to(counts[0].device) for part in counts])
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            distributed.all_reduce(flat)
        for (layer, name, step), part in zip(
            moved, torch.split_with_sizes(flat, [len(part) for part in counts]), strict=True
        ):
            layer.bias_of(name).add_((step * (part.mean() - part).sign()).to(layer.bias_of(name).device))
            layer.counts_of(name).zero_()

    def _note_unmatched(self) -> None:
        """Warn once if tokens were counted, but no step of an optimiser moves the biases.

        A single step can be that of an optimiser of another model, so it takes two without one for this model between them.
        """
        if any(bool(counts.any()) for layer in self._layers for counts in layer.counts.values()):
            self._unmatched += 1
        if self._unmatched == _PATIENCE:
            warnings.warn(
                "the selection biases of the adapter do not move, because the optimiser does not hold its parameters, but copies "
                "of them (as DeepSpeed ZeRO and FSDP1 do). Use plain data parallelism or FSDP2, or set bias_step to 0.",
                CMEWarning,
                stacklevel=2,
            )


@functools.cache
def _hook() -> None:
    """Register the hook that runs after every step of every optimiser, once per process."""
    register_optimizer_step_post_hook(_after_step)


def _after_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    for mover in list(_MOVERS):
        mover.after_step(optimizer)
