"""Target modules: the feed-forward layers of a base model, as in the paper, or the layers that the user names."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from cme.errors import UsageError
from cme.patterns import check_patterns, full_matches

__all__ = ["ALL_LINEAR", "check_targets", "ffn_targets", "linear_names", "notes_on_targets", "unadapted_experts"]

ALL_LINEAR = "all-linear"
"""PEFT's name for all linear layers except the output layer."""

# Llama, Mistral, Qwen, Gemma; Phi-3; OPT, Phi, Whisper; GPT-J; BLOOM, Falcon, GPT-NeoX; GPT-2, GPT-BigCode; T5.
_FFN = {
    *("gate_proj", "up_proj", "down_proj", "gate_up_proj"),
    *("fc1", "fc2", "fc_in", "fc_out"),
    *("dense_h_to_4h", "dense_4h_to_h"),
    *("c_fc", "c_proj"),
    *("wi", "wi_0", "wi_1", "wo"),
}
_LAYERS = ("Linear", "Conv1D")
_GATES = ("gate", "gating", "gate_network", "switch")
"""Names of modules that select the experts of a mixture-of-experts base, apart from names that contain "router".
``gate_proj`` is not one of them."""
_TOWERS = ("vision", "visual", "audio", "image_embed", "img_processor")


def ffn_targets(model: Any) -> list[str]:
    """Return the names of the feed-forward projections, as PEFT's ``target_modules`` takes them.

    A name that is also used outside of feed-forward layers, such as ``c_proj`` in GPT-2's attention, is returned together
    with its parent's name. In a multimodal model, only the language model is adapted, not the vision or audio towers. LLaVA,
    for example, reads images from the last layer but one of its tower, so an adapter in the last layer would never learn.
    Routers of the base are never included.

    Args:
        model: A model (`torch.nn.Module`), with or without adapters.

    Returns:
        The names in the order of the model's modules, such as ``["gate_proj", "up_proj", "down_proj"]``.

    Raises:
        UsageError: The model has no feed-forward projection whose name CME knows.
    """
    linear = [name.split(".") for name, module in _layers(model)]
    projections = [path for path in linear if path[-1] in _FFN and not _in_attention(path) and not _in_router(path)]
    projections = [path for path in projections if not _in_tower(path)] or projections
    chosen = {".".join(path) for path in projections}
    names: dict[str, None] = {}
    for path in projections:
        for length in range(1, len(path) + 1):
            name = ".".join(path[-length:])
            if all(".".join(other) in chosen for other in linear if other[-length:] == path[-length:]):
                names[name] = None
                break
    if not names:
        experts = unadapted_experts(model)
        hint = (
            f" Its experts ({', '.join(experts)}) are parameters, which only PEFT's LoRA adapts, with target_parameters."
            if experts
            else ""
        )
        raise UsageError(
            f"CME knows the names of no feed-forward layers in {type(model).__name__}. Name the layers to adapt with "
            f"target_modules (--target-modules a,b).{hint} Its linear layers: {_listed(linear_names(model))}."
        )
    return list(names)


def check_targets(model: Any, targets: str | Sequence[str], *, any_layer: bool = False) -> None:
    """Check that a model has all requested layers. PEFT ignores a name without a match if another name has one.

    Args:
        model: The base, with or without adapters.
        targets: Names of modules, or one regular expression that matches whole module names, as in PEFT.
        any_layer: Whether to accept layers without a weight matrix, for methods that adapt them.

    Raises:
        UsageError: No module matches a target, none of the matching modules has a weight matrix, or the regular expression
            is invalid. The message lists the layers with the most similar names first.
    """
    if targets == ALL_LINEAR:
        return
    modules = {name: module for name, module in model.named_modules() if name}
    if isinstance(targets, str):
        matching = {targets: full_matches(targets, list(modules), "target_modules")}
    else:
        check_patterns({"target_modules": targets}, modules)
        matching = _by_suffix(modules, targets)
    for target, names in matching.items():
        if not names:
            known = linear_names(model)
            near = sorted(known, key=lambda name: SequenceMatcher(None, target, name).ratio(), reverse=True)
            hint = ""
            if isinstance(targets, str) and (ends := _by_suffix(modules, [targets])[targets]):
                hint = (
                    f" A string is a regular expression for whole names such as {ends[0]!r}. Use the list [{targets}]."
                )
            raise UsageError(
                f"target_modules: {type(model).__name__} has no module {target!r}.{hint} Its linear layers, the nearest "
                f"first: {_listed(near)}."
            )
        if not any_layer and not any(_has_matrix(modules[name]) for name in names):
            raise UsageError(
                f"target_modules: {target!r} is a {type(modules[names[0]]).__name__} ({names[0]}), which has no weight "
                f"matrix to adapt. The linear layers of {type(model).__name__}: {_listed(linear_names(model))}."
            )


def _by_suffix(modules: dict[str, Any], targets: Sequence[str]) -> dict[str, list[str]]:
    """Return for each target the modules of this name, or whose name ends with it. Each module is visited once."""
    matching: dict[str, list[str]] = {target: [] for target in targets}
    for name in modules:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            if (names := matching.get(".".join(parts[-length:]))) is not None:
                names.append(name)
    return matching


def unadapted_experts(model: Any) -> dict[str, list[str]]:
    """Return the expert weights of a mixture-of-experts base that have no adapter.

    transformers stores the weights of all experts of a layer in one three-dimensional parameter, which is not a linear
    layer. Of PEFT's methods, only LoRA can adapt it, with ``target_parameters``.

    Args:
        model: A model with adapters.

    Returns:
        The full names by the suffix that ``target_parameters`` takes, such as ``mlp.experts.down_proj``.
    """
    adapted = {
        f"{_plain_name(name)}.{module.parameter_name}"
        for name, module in model.named_modules()
        if hasattr(module, "base_layer") and hasattr(module, "parameter_name")
    }
    names: dict[str, list[str]] = {}
    for name, parameter in model.named_parameters():
        plain = _plain_name(name)
        path = plain.split(".")
        if parameter.ndim == 3 and path[-2:-1] == ["experts"] and plain not in adapted:
            names.setdefault(".".join(path[-3:]), []).append(plain)
    return names


def notes_on_targets(model: Any) -> list[str]:
    """Return notes on adapted layers that a user may not expect.

    Args:
        model: A model with an adapter.

    Returns:
        A note if the experts of a mixture-of-experts base have no adapter, and a note if its router or a norm has one.
    """
    adapted = [_plain_name(name) for name, module in model.named_modules() if hasattr(module, "base_layer")]
    notes = []
    experts = unadapted_experts(model)
    if experts and adapted:
        count = len({name.rpartition(".")[0] for names in experts.values() for name in names})
        kinds: dict[str, int] = {}
        for name in adapted:
            kind = ".".join(part for part in name.split(".")[-3:] if not part.isdigit())
            kinds[kind] = kinds.get(kind, 0) + 1
        where = ", ".join(f"{kind} ({number})" for kind, number in kinds.items())
        notes.append(
            f"the base is a mixture of experts, and the adapter is on {where} only. The experts of {count} layers "
            f"({', '.join(experts)}) are not adapted. Only PEFT's LoRA can adapt them, with target_parameters."
        )
    strange = [name for name in adapted if _in_router(name.split("."))]
    if 0 < len(strange) < len(adapted):
        notes.append(
            f"the adapter is also on routers or norms of the base ({_listed(strange, 3)}). Name other target modules if this "
            "is not intended."
        )
    return notes


def _plain_name(name: str) -> str:
    """Return a module's name in the base, without the parts that PEFT adds."""
    return name.removeprefix("base_model.model.").replace(".base_layer", "")


def linear_names(model: Any) -> list[str]:
    """Return the names of the linear layers for ``target_modules``, in the order of the model's modules.

    A name is preceded by its parent's name if it is a number, or if parents of different names have a layer of this name,
    such as ``intermediate.dense`` and ``output.dense`` in BERT.
    """
    paths = [name.split(".") for name, _ in _layers(model)]
    parents: dict[str, set[str]] = {}
    for path in paths:
        parents.setdefault(path[-1], set()).update(part for part in path[-2:-1] if not part.isdigit())
    names: dict[str, None] = {}
    for path in paths:
        alone = len(parents[path[-1]]) < 2 and not path[-1].isdigit()
        names[path[-1] if alone else ".".join(path[-2:])] = None
    return list(names)


def _has_matrix(module: Any) -> bool:
    if hasattr(module, "base_layer"):
        return True
    weight = getattr(module, "weight", None)
    # Quantised layers may store their weight under another name, so PEFT decides about modules without children.
    return not any(True for _ in module.children()) if weight is None else weight.ndim > 1


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _layers(model: Any) -> list[tuple[str, Any]]:
    """Return the linear layers with their names. A layer with an adapter counts once, without its inner modules."""
    wrapped = tuple(name for name, module in model.named_modules() if hasattr(module, "base_layer"))
    return [
        (name, module)
        for name, module in model.named_modules()
        if name in wrapped or (_is_linear(module) and not name.startswith(tuple(f"{outer}." for outer in wrapped)))
    ]


def _is_linear(module: Any) -> bool:
    return any(cls.__name__ in _LAYERS for cls in type(module).__mro__)


def _in_router(path: list[str]) -> bool:
    """Return whether a module belongs to a router of the base or to a norm."""
    words = ("router", "norm", "expert_gate")
    return any(part in _GATES or any(word in part.lower() for word in words) for part in path)


def _in_tower(path: list[str]) -> bool:
    return any(tower in part for part in path[:-1] for tower in _TOWERS)


def _in_attention(path: list[str]) -> bool:
    return any("attn" in part or "attention" in part.lower() for part in path[:-1])
