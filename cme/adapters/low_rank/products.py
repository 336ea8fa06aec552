"""The final matrix product of every low-rank method, which adds the adapter's output to the base's output."""

import torch
from torch import Tensor

__all__ = ["add_product", "autocast_on"]


def autocast_on(tensor: Tensor) -> bool:
    """Return whether autocast is enabled on the tensor's device."""
    return torch.is_autocast_enabled(tensor.device.type)


def add_product(base: Tensor, hidden: Tensor, up: Tensor, scaling: float) -> Tensor:
    """Compute ``base + scaling · B h`` with one fused product.

    Args:
        base: The output of the frozen layer, [..., m].
        hidden: The hidden values h, with R columns and as many rows as ``base``, in any shape. They are cast to B's dtype.
        up: The matrix B, [m, R].
        scaling: The factor of the adapter's output, alpha / r.

    Returns:
        The sum [..., m] in the dtype of ``base``.
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
