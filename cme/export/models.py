"""Several adapted copies of one base, which share its weights."""

import copy
from itertools import chain
from typing import Any

__all__ = ["shared_copy"]


def shared_copy(model: Any) -> Any:
    """Copy the modules of a model without its weights, so that adapters of different methods fit on one base.

    Args:
        model: a model without an adapter, whose weights are not trained.

    Returns:
        A model with the same parameters and buffers, as the same tensors.
    """
    memo: dict[int, Any] = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    return copy.deepcopy(model, memo)
