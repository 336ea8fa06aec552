"""Facts about the experts of a saved adapter, from its files alone."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cme.adapters.checks import CONFIG_FILE, WEIGHTS_FILE
from cme.errors import AdapterError
from cme.readers.safetensors_file import read_tensor_header

__all__ = ["TIES", "experts_of_layers", "gates_tie", "names_matrices", "trained_besides"]

TIES = (
    "all chosen experts of a token have the same gate weight, so the choice of the largest one would depend on the numbers of "
    "the experts alone"
)
"""Why such a method has no best expert of a token, as part of a sentence."""


def gates_tie(config: Mapping[str, Any]) -> bool:
    """Return whether several experts share the largest gate weight of every token by construction, as in FlyLoRA.

    Args:
        config: The configuration of the adapter as JSON values.
    """
    from cme.adapters.registration import register_all

    register_all()
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    from cme.adapters.routed.config import RoutedConfig

    kind = PEFT_TYPE_TO_CONFIG_MAPPING.get(_type(config))
    return isinstance(kind, type) and issubclass(kind, RoutedConfig) and kind.ties(config)


def names_matrices(config: Mapping[str, Any]) -> bool:
    """Return whether the layers of a method name the matrices A and B of their experts (`RoutedLinear.expert_matrices`).

    Args:
        config: The configuration of the adapter as JSON values.
    """
    from cme.adapters.registration import register_all

    register_all()
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    from cme.adapters.routed.layer import RoutedLinear
    from cme.adapters.routed.model import RoutedModel

    kind = PEFT_TYPE_TO_TUNER_MAPPING.get(_type(config))
    if not (isinstance(kind, type) and issubclass(kind, RoutedModel)):
        return False
    layer = kind.tuner_layer_cls
    stacked = all(any(name.endswith(end) for name in layer.adapter_layer_names) for end in ("_A", "_B"))
    return stacked or layer.expert_matrices is not RoutedLinear.expert_matrices


def experts_of_layers(folder: Path, config: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of experts of each layer by its name. Without an ``experts_pattern``, one entry stands for all layers.

    Args:
        folder: Folder of the adapter.
        config: Its configuration as JSON values, with a number of experts.

    Raises:
        AdapterError: The weights cannot be read, or a pattern is no regular expression with a number of experts.
    """
    patterns, experts = config.get("experts_pattern"), int(config["experts"])
    if not patterns:
        return {"": experts}
    from cme.adapters.mola.config import matches

    names = read_tensor_header(folder / WEIGHTS_FILE, error=AdapterError)
    layers = dict.fromkeys(
        name.removeprefix("base_model.model.").rpartition(".")[0] for name in names if name.endswith("_B")
    )
    try:
        return {
            layer: next((int(number) for key, number in patterns.items() if matches(key, layer)), experts)
            for layer in layers
        }
    except (AttributeError, TypeError, ValueError, re.error) as error:
        raise AdapterError(
            f"{folder / CONFIG_FILE}: experts_pattern is not a mapping from regular expressions to numbers ({error}). Save the "
            "adapter again."
        ) from error


def trained_besides(folder: Path, config: Mapping[str, Any]) -> list[str]:
    """Return what an adapter has trained besides its experts and routers: names of modules, and ``biases``.

    Args:
        folder: Folder of the adapter.
        config: Its configuration as JSON values.

    Raises:
        AdapterError: The weights cannot be read.
    """
    trained = [str(name) for name in config.get("modules_to_save") or ()]
    if config.get("bias", "none") != "none":
        names = read_tensor_header(folder / WEIGHTS_FILE, error=AdapterError)
        trained += ["biases"] if any(name.endswith(".bias") for name in names) else []
    return trained


def _type(config: Mapping[str, Any]) -> str:
    kind = config.get("peft_type")
    return kind if isinstance(kind, str) else ""
