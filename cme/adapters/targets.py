"""Target modules: the feed-forward layers of a base model, as in the paper, or the layers that the user names."""

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from cme.adapters.layer_names import (
    in_router,
    linear_layers,
    linear_names,
    listed,
    plain_name,
    unadapted_experts,
)
from cme.errors import UsageError, nearest
from cme.models.language import language_prefix, outside_language
from cme.patterns import check_patterns, full_matches

__all__ = ["ALL_LINEAR", "check_targets", "ffn_layers", "ffn_targets", "language_targets", "refuse_unmatched"]

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
    linear = [name.split(".") for name, _ in linear_layers(model)]
    projections = _projections(model, linear)
    names = _shortest(projections, linear)
    if not names:
        experts = unadapted_experts(model)
        hint = (
            f" Its experts ({', '.join(experts)}) are parameters, which only PEFT's LoRA adapts, with target_parameters."
            if experts
            else ""
        )
        raise UsageError(
            f"CME knows the names of no feed-forward layers in {type(model).__name__}. Name the layers to adapt with "
            f"target_modules (--target-modules a,b).{hint} Its linear layers: {listed(linear_names(model))}."
        )
    return names


def ffn_layers(model: Any) -> list[str]:
    """Return the full names of the layers that `ffn_targets` means, as in the base.

    Args:
        model: A model, with or without adapters.
    """
    return [
        plain_name(".".join(path))
        for path in _projections(model, [name.split(".") for name, _ in linear_layers(model)])
    ]


def _projections(model: Any, linear: Sequence[list[str]]) -> list[list[str]]:
    projections = [path for path in linear if path[-1] in _FFN and not _in_attention(path) and not in_router(path)]
    if language_prefix(model) is not None:
        outside = set(outside_language(model, (plain_name(".".join(path)) for path in projections)))
        return [path for path in projections if plain_name(".".join(path)) not in outside]
    return [path for path in projections if not _in_tower(path)] or projections


def language_targets(model: Any, targets: str | Sequence[str]) -> str | Sequence[str]:
    """Restrict names of target modules to the language model of a vision-language base.

    Towers often have layers of the same names, such as ``q_proj``. Text never reaches them.

    Args:
        model: The base, with or without adapters.
        targets: Names of modules, `ALL_LINEAR`, or a regular expression for whole names.

    Returns:
        The targets. Names that also match layers outside of the language model are replaced by longer names. A regular
        expression, and a name that matches only layers outside, are returned unchanged.
    """
    if language_prefix(model) is None or (isinstance(targets, str) and targets != ALL_LINEAR):
        return targets
    if targets == ALL_LINEAR:
        head = model.get_output_embeddings()
        modules = [(name, module) for name, module in linear_layers(model) if module is not head]
        wanted = {ALL_LINEAR: [plain_name(name) for name, _ in modules]}
        names = [name for name, _ in linear_layers(model)]
    else:
        names = [name for name, _ in model.named_modules() if name]
        by_name = {plain_name(name): None for name in names}
        wanted = {target: list(matching) for target, matching in _by_suffix(by_name, targets).items()}
    narrowed: dict[str, None] = {}
    others = [plain_name(name).split(".") for name in names]
    for target, matching in wanted.items():
        outside = set(outside_language(model, matching))
        inside = [name.split(".") for name in matching if name not in outside]
        if target != ALL_LINEAR and (not outside or not inside):
            narrowed[target] = None
        else:
            narrowed |= dict.fromkeys(_shortest(inside, others))
    return list(narrowed)


def _shortest(chosen: Sequence[list[str]], others: Sequence[list[str]]) -> list[str]:
    """Return the shortest ends of the chosen names that are not ends of other names.

    Args:
        chosen: The chosen names, split at periods.
        others: All names, split at periods.
    """
    taken = {".".join(path) for path in chosen}
    # Every end of a name that is not chosen is forbidden. A model can have ten thousand modules.
    forbidden = {
        ".".join(path[-length:]) for path in others if ".".join(path) not in taken for length in range(1, len(path) + 1)
    }
    names: dict[str, None] = {}
    for path in chosen:
        ends = (".".join(path[-length:]) for length in range(1, len(path) + 1))
        if (end := next((end for end in ends if end not in forbidden), None)) is not None:
            names[end] = None
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
                f"first: {listed(near)}."
            )
        if not any_layer and not any(_has_matrix(modules[name]) for name in names):
            raise UsageError(
                f"target_modules: {target!r} is a {type(modules[names[0]]).__name__} ({names[0]}), which has no weight "
                f"matrix to adapt. The linear layers of {type(model).__name__}: {listed(linear_names(model))}."
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


def _has_matrix(module: Any) -> bool:
    if hasattr(module, "base_layer"):
        return True
    weight = getattr(module, "weight", None)
    # Quantised layers may store their weight under another name, so PEFT decides about modules without children.
    return not any(True for _ in module.children()) if weight is None else weight.ndim > 1


def _in_tower(path: list[str]) -> bool:
    return any(tower in part for part in path[:-1] for tower in _TOWERS)


def _in_attention(path: list[str]) -> bool:
    return any("attn" in part or "attention" in part.lower() for part in path[:-1])


def refuse_unmatched(options: Mapping[str, Any], modules: Collection[str]) -> None:
    """Refuse options of PEFT that name no module or layer of the base. PEFT ignores such names if another one matches.

    Args:
        options: options of PEFT.
        modules: names of the base's modules.

    Raises:
        UsageError: a name or a number of a layer matches nothing.
    """
    for key in ("modules_to_save", "exclude_modules", "n_frequency_pattern"):
        given = options.get(key)
        # A text is a regular expression, and so is a key of a pattern with special characters.
        names = [name for name in given if re.escape(str(name)) == name] if isinstance(given, Mapping) else given
        for name in names if isinstance(names, list | tuple) else ():
            if not any(path == name or path.endswith(f".{name}") for path in modules):
                last = sorted({path.rpartition(".")[2] for path in modules})
                hint = nearest(str(name), last)
                offer = f" (did you mean {hint!r}?)" if hint else ""
                raise UsageError(f"{key}: the base has no module {name!r}{offer}. Correct the name, or leave it out.")
    given = options.get("layers_to_transform")
    known = {int(part) for path in modules for part in path.split(".") if part.isdecimal()}
    for layer in [given] if isinstance(given, int) else given or ():
        if layer not in known:
            raise UsageError(
                f"layers_to_transform: the base has no layer {layer!r}, only 0 to {max(known, default=0)}. Leave it out."
            )
