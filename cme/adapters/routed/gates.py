"""What the gates of a forward pass were, recorded without changing it.

Over a batch, the mean weight of every expert in every layer, padding left out::

    with torch.no_grad(), recorded_gates(model) as layers:
        model(**batch)
        usage = mean_gates(layers, batch["attention_mask"])  # {"model.layers.0.mlp.up_proj": [0.31, 0.22, ...], ...}

A layer keeps the gates of its last forward pass only: in generation with a cache, those of the newest token.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from cme.adapters.routed.balance import mean_gate
from cme.adapters.routed.layer import RoutedLinear

__all__ = ["mean_gate", "mean_gates", "recorded_gates"]


@contextmanager
def recorded_gates(model: nn.Module) -> Iterator[dict[str, RoutedLinear]]:
    """While open, each routed layer of the model keeps its last gates in ``layer.gates``; on leaving they are let go.

    Args:
        model: with or without PEFT's wrapping.

    Yields:
        The layers by module name, without PEFT's prefix, in the model's order.
    """
    layers = {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if isinstance(module, RoutedLinear)
    }
    for layer in layers.values():
        layer.record_gates = True
    try:
        yield layers
    finally:
        for layer in layers.values():
            layer.record_gates = False
            layer.gates.clear()
            layer.balanced_gates.clear()


def mean_gates(
    layers: Mapping[str, RoutedLinear], mask: Tensor | None = None, adapter_name: str = "default"
) -> dict[str, Tensor]:
    """Each expert's mean weight over the tokens of the last forward pass, by layer.

    Args:
        layers: from `recorded_gates`, while that is open. Of an encoder-decoder model, give the encoder's and the
            decoder's each with their own mask.
        mask: as for `mean_gate`, the batch's ``attention_mask``.
        adapter_name: whose gates.

    Returns:
        [k] in float32 and without a graph for each layer that this adapter ran in; it sums to 1, or to about 1 where the
        adapter's ``gate_sum`` is ``"free"``.
    """
    return {
        name: mean_gate(layer.gates[adapter_name].detach(), mask)
        for name, layer in layers.items()
        if adapter_name in layer.gates
    }
