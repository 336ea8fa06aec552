"""A learning rate of their own for the matrices B of adapters, as in LoRA+."""

import re
from typing import Any

from cme.errors import UsageError

__all__ = ["is_b", "own_rate_of_b"]

_B = re.compile(r"(^|[._])[a-z]+_B(\.|$)")


def is_b(name: str) -> bool:
    """Return whether a parameter is the matrix B of an adapter.

    The names are those of CME's methods and of LoRA, such as ``lora_B.default.weight`` or ``adamole_B.default``.

    Args:
        name: The parameter's name in the model.
    """
    return _B.search(name) is not None


def own_rate_of_b(optimizer: Any, model: Any, ratio: float) -> None:
    """Move the matrices B to parameter groups with another learning rate (LoRA+, arXiv 2402.12354).

    Args:
        optimizer: A new optimiser without state.
        model: The model with the adapter.
        ratio: The learning rate of the matrices B divided by that of the other parameters.

    Raises:
        UsageError: The model trains no matrix B, or nothing else, so the ratio would have no effect of its own.
    """
    ups = {id(weight) for name, weight in model.named_parameters() if weight.requires_grad and is_b(name)}
    if not ups:
        raise UsageError(
            "b_learning_rate_ratio is for adapters with matrices B, but this method trains none. Leave it out."
        )
    if all(id(weight) in ups for weight in model.parameters() if weight.requires_grad):
        raise UsageError(
            "b_learning_rate_ratio has no effect of its own, because this method trains matrices B alone, so it is only a higher "
            "learning rate. Leave it out, and raise the learning rate."
        )
    for group in list(optimizer.param_groups):
        moved = [weight for weight in group["params"] if id(weight) in ups]
        group["params"] = [weight for weight in group["params"] if id(weight) not in ups]
        if moved:
            optimizer.add_param_group({**group, "params": moved, "lr": group["lr"] * ratio})
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]
