"""What an adapter covers: which layers of its base have an adapter, which do not, and notes about both."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from cme.adapters.layer_names import (
    adapted_names,
    expert_parameters,
    in_router,
    linear_layers,
    listed,
    plain_name,
    unadapted_experts,
)
from cme.adapters.targets import ffn_layers
from cme.errors import UsageError
from cme.models.language import language_prefix, other_parts, outside_language

__all__ = ["coverage", "notes_on_targets", "refuse_unreached", "refuse_unreached_weights"]


def coverage(model: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Count the layers of a base that have an adapter, and its other layers.

    Layers are linear layers, the parameters that hold the weights of experts, and other modules that an adapter covers.

    Args:
        model: A model with adapters.

    Returns:
        The numbers of adapted and of other layers, by name. The numbers in names are replaced by ``*``, such as
        ``model.layers.*.mlp.up_proj``.
    """
    adapted = adapted_names(model)
    others = [*(plain_name(name) for name, _ in linear_layers(model)), *expert_parameters(model)]
    taken = set(adapted)
    # The module that holds an adapted parameter is not a layer of its own.
    holders = {
        plain_name(name)
        for name, module in model.named_modules()
        if hasattr(module, "base_layer") and hasattr(module, "parameter_name")
    }
    return _by_pattern(adapted), _by_pattern(name for name in others if name not in taken | holders)


def notes_on_targets(model: Any) -> list[str]:
    """Return notes on the layers that an adapter covers, where a user may not expect them.

    Args:
        model: A model with an adapter.

    Returns:
        A sentence on the adapted layers if the base is a vision-language model or a mixture of experts, and a note if a router
        of the base or a norm has an adapter.
    """
    adapted = adapted_names(model)
    notes = []
    if adapted and language_prefix(model) is not None:
        notes.append(
            f"the base is a vision-language model, and the adapter is on its language model only: {_kinds(adapted)}. "
            f"{listed(other_parts(model))} {_are(other_parts(model))} not adapted."
        )
    if adapted and any(True for _ in expert_parameters(model)):
        notes.append(f"the base is a mixture of experts, and the adapter is on {_experts_note(model, adapted)}")
    strange = [name for name in adapted if in_router(name.split("."))]
    if 0 < len(strange) < len(adapted):
        notes.append(
            f"the adapter is also on routers or norms of the base ({listed(strange, 3)}). Name other target modules if this "
            "is not intended."
        )
    return notes


def refuse_unreached(model: Any, adapted: Sequence[str]) -> None:
    """Check that text reaches all adapted layers. Layers of a vision tower or projector would never learn from a mix.

    Args:
        model: The base, with or without adapters.
        adapted: The names of the adapted layers, as in the base.

    Raises:
        UsageError: A layer is outside of the language model of a vision-language base.
    """
    if outside := outside_language(model, adapted):
        raise UsageError(
            f"target_modules: {len(outside)} adapted layers are outside of the language model ({listed(outside, 3)}). The rows "
            "of a mix are text, which never reaches these layers, so they would not learn. Name layers of the language model."
        )


def refuse_unreached_weights(model: Any) -> None:
    """Check that text reaches all trained weights, which are not only those of adapted layers.

    PEFT's ``modules_to_save`` and ``bias`` also train weights of the base.

    Args:
        model: A `PeftModel`.

    Raises:
        UsageError: A trained weight is outside of the language model of a vision-language base.
    """
    inside = "base_model.model."
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad and name.startswith(inside)]
    if outside := outside_language(model, map(plain_name, trained)):
        raise UsageError(
            f"{len(outside)} trained weights are outside of the language model ({listed(outside, 1)}). Text never reaches them, "
            "so they would not learn. In the adapter's options, leave such modules out of modules_to_save, and bias at 'none'."
        )


def _experts_note(model: Any, adapted: Sequence[str]) -> str:
    experts = unadapted_experts(model)
    if not experts:
        others = [name for name in ffn_layers(model) if name not in set(adapted)]
        return f"{_kinds(adapted)}." + (
            f" Other feed-forward layers have no adapter: {_kinds(others)}." if others else ""
        )
    count = len({name.rpartition(".")[0] for names in experts.values() for name in names})
    layers = f"{count} layer{'' if count == 1 else 's'}"
    return (
        f"{_kinds(adapted)} only. The experts of {layers} ({', '.join(experts)}) are not adapted. Only PEFT's LoRA can adapt "
        "them, with target_parameters."
    )


def _kinds(names: Iterable[str]) -> str:
    """Return the last parts of names with their numbers, such as ``mlp.up_proj (2)``."""
    kinds = Counter(".".join(part for part in name.split(".")[-3:] if not part.isdigit()) for name in names)
    return ", ".join(f"{kind} ({number})" for kind, number in kinds.items())


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _by_pattern(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(re.sub(r"(?<![^.])\d+(?![^.])", "*", name) for name in names))
