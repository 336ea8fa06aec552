"""The product that ends every low-rank method: B times what the method made of the input, onto the base's output."""

import torch
from torch import Tensor

__all__ = ["add_product", "autocast_on"]


def autocast_on(tensor: Tensor) -> bool:
    """Whether autocast picks the types of products on this tensor's device."""
    return torch.is_autocast_enabled(tensor.device.type)


def add_product(base: Tensor, hidden: Tensor, up: Tensor, scaling: float) -> Tensor:
    """``base + scaling · B h``, as one product that adds onto ``base``.

    Args:
        base: output of the frozen layer, [..., m].
        hidden: h, [..., R] in any shape of as many rows; cast to B's type.
        up: B, [m, R].
        scaling: alpha / r, times what the method multiplies it by.

    Returns:
        [..., m] in the base's type.
    """
    outputs, columns = up.shape
    if hidden.dtype != up.dtype:
        hidden = hidden.to(up.dtype)
    hidden = hidden.reshape(-1, columns)
    flat = base.reshape(-1, outputs)
    if flat.dtype == up.dtype or autocast_on(flat):
        out = torch.addmm(flat, hidden, up.t(), alpha=scaling)
    else:
        out = flat.to(up.dtype).addmm_(hidden, up.t(), alpha=scaling)
    out = out.view(base.shape)
    return out if out.dtype == base.dtype else out.to(base.dtype)
