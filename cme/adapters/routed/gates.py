"""Recording the gate weights of a forward pass.

The following example computes the mean gate weight of every expert in every layer over a batch, without padding::

    with torch.no_grad(), recorded_gates(model) as layers:
        model(**batch)
        usage = mean_gates(layers, batch["attention_mask"])  # {"model.layers.0.mlp.up_proj": [0.31, 0.22, ...], ...}

A layer keeps the gate weights of its last forward pass only. In generation with a cache, these are those of the newest token.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from cme.adapters.routed.balance import mean_gate
from cme.adapters.routed.layer import RoutedLinear

__all__ = ["mean_gate", "mean_gates", "recorded_gates", "routed_layers"]


def routed_layers(model: nn.Module) -> dict[str, RoutedLinear]:
    """Return the routed layers by module name, without PEFT's prefix, in the order of the model's modules.

    Args:
        model: The model, with or without PEFT's wrapper.
    """
    return {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if isinstance(module, RoutedLinear)
    }


@contextmanager
def recorded_gates(model: nn.Module) -> Iterator[dict[str, RoutedLinear]]:
    """Let each routed layer of the model keep its last gate weights in ``layer.gates`` until the context ends.

    Args:
        model: The model, with or without PEFT's wrapper.

    Yields:
        The routed layers by module name, without PEFT's prefix, in the order of the model's modules.
    """
    layers = routed_layers(model)
    for layer in layers.values():
        layer.record_gates = True
    try:
        yield layers
    finally:
        for layer in layers.values():
            layer.record_gates = False
            layer.gates.clear()
            layer.values.clear()
            layer.balanced_gates.clear()
            layer.chosen.clear()


def mean_gates(
    layers: Mapping[str, RoutedLinear], mask: Tensor | None = None, adapter_name: str = "default"
) -> dict[str, Tensor]:
    """Compute each expert's mean gate weight over the tokens of the last forward pass, by layer.

    Args:
        layers: The layers that `recorded_gates` yields, inside its context. For an encoder-decoder model, call this function
            for the layers of the encoder and of the decoder separately, each with its own mask.
        mask: The batch's ``attention_mask``, as for `mean_gate`.
        adapter_name: The adapter's name.

    Returns:
        The detached means [k] in float32 for each layer that ran with this adapter. They sum to 1, or to about 1 if the
        adapter's ``gate_sum`` is ``"free"``.
    """
    return {
        name: mean_gate(layer.gates[adapter_name].detach(), mask)
        for name, layer in layers.items()
        if adapter_name in layer.gates
    }
