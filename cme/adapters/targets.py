"""Which layers of a base model are adapted: its feed-forward layers, as in the paper, or those that the user names."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from cme.errors import UsageError
from cme.patterns import check_patterns, full_matches

__all__ = ["ALL_LINEAR", "check_targets", "ffn_targets", "linear_names", "notes_on_targets", "unadapted_experts"]

ALL_LINEAR = "all-linear"
"""PEFT's word for every linear layer but the output layer."""

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
"""Modules that choose a mixture's experts, beside those with "router" in their name; ``gate_proj`` is another thing."""
_TOWERS = ("vision", "visual", "audio", "image_embed", "img_processor")


def ffn_targets(model: Any) -> list[str]:
    """Names of the feed-forward projections, as PEFT takes them in ``target_modules``.

    A name that other layers have too (GPT-2's ``c_proj`` is in its attention as well) comes with its parent's name. In a
    model that sees or hears, only the language model's count: its towers stay as they are, as in LLaVA, which takes
    images from the last layer but one, so that an adapter in the last would never learn. A mixture's own router is never
    among them.

    Args:
        model: a model (`torch.nn.Module`), with or without adapters on it.

    Returns:
        Names in the order in which the model has them, such as ``["gate_proj", "up_proj", "down_proj"]``.

    Raises:
        UsageError: no feed-forward projection was found.
    """
    linear = [name.split(".") for name, module in _layers(model)]
    found = [path for path in linear if path[-1] in _FFN and not _in_attention(path) and not _in_router(path)]
    found = [path for path in found if not _in_tower(path)] or found
    chosen = {".".join(path) for path in found}
    names: dict[str, None] = {}
    for path in found:
        for length in range(1, len(path) + 1):
            name = ".".join(path[-length:])
            if all(".".join(other) in chosen for other in linear if other[-length:] == path[-length:]):
                names[name] = None
                break
    if not names:
        experts = unadapted_experts(model)
        hint = (
            f" Its experts ({', '.join(experts)}) are parameters, not layers: PEFT's LoRA adapts them with target_parameters."
            if experts
            else ""
        )
        raise UsageError(
            f"{type(model).__name__} has no feed-forward layers of a name that CME knows. Name the layers to adapt with "
            f"target_modules (--target-modules a,b).{hint} Its linear layers: {_listed(linear_names(model))}."
        )
    return list(names)


def check_targets(model: Any, targets: str | Sequence[str], *, any_layer: bool = False) -> None:
    """Check that a model has the layers that were asked for; PEFT passes over a name if it finds another.

    Args:
        model: the base, with or without adapters on it.
        targets: names, or one regular expression for whole module names, as PEFT takes them.
        any_layer: let through layers without a weight matrix, for methods that adapt such.

    Raises:
        UsageError: no such layer (the nearest names come first in the message), none with a weight matrix of that name,
            or no regular expression.
    """
    if targets == ALL_LINEAR:
        return
    modules = {name: module for name, module in model.named_modules() if name}
    if isinstance(targets, str):
        matching = {targets: full_matches(targets, list(modules), "target_modules")}
    else:
        check_patterns({"target_modules": targets}, modules)
        matching = _by_suffix(modules, targets)
    for target, found in matching.items():
        if not found:
            known = linear_names(model)
            near = sorted(known, key=lambda name: SequenceMatcher(None, target, name).ratio(), reverse=True)
            hint = ""
            if isinstance(targets, str) and (ends := _by_suffix(modules, [targets])[targets]):
                hint = f" As a string it is a regular expression for whole names such as {ends[0]!r}; give [{targets}]."
            raise UsageError(
                f"target_modules: {type(model).__name__} has no module {target!r}.{hint} Its linear layers, the nearest "
                f"first: {_listed(near)}."
            )
        if not any_layer and not any(_has_matrix(modules[name]) for name in found):
            raise UsageError(
                f"target_modules: {target!r} is no layer with a weight matrix but a "
                f"{type(modules[found[0]]).__name__} ({found[0]}). The linear layers of {type(model).__name__}: "
                f"{_listed(linear_names(model))}."
            )


def _by_suffix(modules: dict[str, Any], targets: Sequence[str]) -> dict[str, list[str]]:
    """For each target the modules of that name or with that end; each module is looked at once, however many targets."""
    matching: dict[str, list[str]] = {target: [] for target in targets}
    for name in modules:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            if (found := matching.get(".".join(parts[-length:]))) is not None:
                found.append(name)
    return matching


def unadapted_experts(model: Any) -> dict[str, list[str]]:
    """A mixture's expert weights that carry no adapter.

    transformers keeps the weights of all experts of a layer in one parameter of three dimensions, which is no linear layer;
    of PEFT's methods, LoRA reaches it with ``target_parameters``.

    Args:
        model: a model with adapters on it.

    Returns:
        By the end of their name, as ``target_parameters`` takes it (``mlp.experts.down_proj``), the full names.
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
    """What a user may not expect of where an adapter is, a sentence each.

    Args:
        model: a model with an adapter on it.

    Returns:
        A note if a mixture's experts carry no adapter, and one if its own router or a norm does.
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
            f"({', '.join(experts)}) are not adapted: PEFT's LoRA adapts them with target_parameters."
        )
    strange = [name for name in adapted if _in_router(name.split("."))]
    if 0 < len(strange) < len(adapted):
        notes.append(
            f"the adapter is also on {_listed(strange, 3)}: routers or norms of the base. Name other target modules if this "
            "is not what you want."
        )
    return notes


def _plain_name(name: str) -> str:
    """A name in the base, without what PEFT puts into it."""
    return name.removeprefix("base_model.model.").replace(".base_layer", "")


def linear_names(model: Any) -> list[str]:
    """Names of the linear layers, in the model's order, as they may stand in ``target_modules``.

    A layer's own name where that is enough to tell what it is (``q_proj``); with its parent's where layers of that name
    have parents of several names (BERT's ``intermediate.dense``, ``output.dense``) or the name is a number.
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
    # Quantised layers may keep their weight under another name; what has no children is left to PEFT.
    return not any(True for _ in module.children()) if weight is None else weight.ndim > 1


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _layers(model: Any) -> list[tuple[str, Any]]:
    """Linear layers by name; one that carries an adapter counts as itself, its inner parts do not."""
    wrapped = tuple(name for name, module in model.named_modules() if hasattr(module, "base_layer"))
    return [
        (name, module)
        for name, module in model.named_modules()
        if name in wrapped or (_is_linear(module) and not name.startswith(tuple(f"{outer}." for outer in wrapped)))
    ]


def _is_linear(module: Any) -> bool:
    return any(cls.__name__ in _LAYERS for cls in type(module).__mro__)


def _in_router(path: list[str]) -> bool:
    """Whether this is a part of what chooses the base's own experts, or of a norm."""
    words = ("router", "norm", "expert_gate")
    return any(part in _GATES or any(word in part.lower() for word in words) for part in path)


def _in_tower(path: list[str]) -> bool:
    return any(tower in part for part in path[:-1] for tower in _TOWERS)


def _in_attention(path: list[str]) -> bool:
    return any("attn" in part or "attention" in part.lower() for part in path[:-1])
