"""Names of the linear layers of a model and of the expert weights of a mixture-of-experts base."""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = [
    "adapted_names",
    "expert_parameters",
    "in_router",
    "linear_layers",
    "linear_names",
    "listed",
    "plain_name",
    "unadapted_experts",
]

_LAYERS = ("Linear", "Conv1D")
_GATES = ("gate", "gating", "gate_network", "switch")
"""Names of modules that select the experts of a mixture-of-experts base, apart from names that contain "router".
``gate_proj`` is not one of them."""


def linear_layers(model: Any) -> list[tuple[str, Any]]:
    """Return the linear layers with their names. A layer with an adapter counts once, without its inner modules."""
    wrapped = tuple(name for name, module in model.named_modules() if hasattr(module, "base_layer"))
    return [
        (name, module)
        for name, module in model.named_modules()
        if name in wrapped or (_is_linear(module) and not name.startswith(tuple(f"{outer}." for outer in wrapped)))
    ]


def linear_names(model: Any) -> list[str]:
    """Return the names of the linear layers for ``target_modules``, in the order of the model's modules.

    A name is preceded by its parent's name if it is a number, or if parents of different names have a layer of this name,
    such as ``intermediate.dense`` and ``output.dense`` in BERT.
    """
    paths = [name.split(".") for name, _ in linear_layers(model)]
    parents: dict[str, set[str]] = {}
    for path in paths:
        parents.setdefault(path[-1], set()).update(part for part in path[-2:-1] if not part.isdigit())
    names: dict[str, None] = {}
    for path in paths:
        alone = len(parents[path[-1]]) < 2 and not path[-1].isdigit()
        names[path[-1] if alone else ".".join(path[-2:])] = None
    return list(names)


def expert_parameters(model: Any) -> Iterator[str]:
    """Yield the names of the parameters that hold the weights of all experts of a layer.

    transformers stores them as one three-dimensional parameter, either of a module named ``experts`` or of a module whose
    class is named after experts, as in GraniteMoe.

    Args:
        model: A model, with or without adapters.
    """
    adapters = tuple(f"{plain_name(name)}." for name, module in model.named_modules() if hasattr(module, "base_layer"))
    for owner, module in model.named_modules():
        plain = plain_name(owner)
        if hasattr(module, "base_layer") or plain.startswith(adapters):
            continue
        experts = plain.split(".")[-1] == "experts" or "Expert" in type(module).__name__
        for name, parameter in module.named_parameters(recurse=False):
            if experts and parameter.ndim == 3:
                yield f"{plain}.{name}"


def unadapted_experts(model: Any) -> dict[str, list[str]]:
    """Return the expert weights of a mixture-of-experts base that have no adapter.

    Of PEFT's methods, only LoRA can adapt them, with ``target_parameters``.

    Args:
        model: A model with adapters.

    Returns:
        The full names by the suffix that ``target_parameters`` takes, such as ``mlp.experts.down_proj``.
    """
    adapted = set(adapted_names(model))
    names: dict[str, list[str]] = {}
    for name in expert_parameters(model):
        if name not in adapted:
            names.setdefault(".".join(name.split(".")[-3:]), []).append(name)
    return names


def adapted_names(model: Any) -> list[str]:
    """Return the names of the adapted layers and parameters of a model, as in the base.

    Args:
        model: A model with adapters.
    """
    return [
        plain_name(name) + (f".{parameter}" if (parameter := getattr(module, "parameter_name", "")) else "")
        for name, module in model.named_modules()
        if hasattr(module, "base_layer")
    ]


def plain_name(name: str) -> str:
    """Return a module's name in the base, without the parts that PEFT adds."""
    return name.removeprefix("base_model.model.").replace(".base_layer", "")


def in_router(path: list[str]) -> bool:
    """Return whether a module belongs to a router of the base or to a norm."""
    words = ("router", "norm", "expert_gate")
    return any(part in _GATES or any(word in part.lower() for word in words) for part in path)


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return names separated by commas. Names beyond ``most`` are counted."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _is_linear(module: Any) -> bool:
    return any(cls.__name__ in _LAYERS for cls in type(module).__mro__)
