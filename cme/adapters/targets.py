"""Which layers of a base model are its feed-forward layers: the modules that the paper adapts."""

from typing import Any

from cme.errors import UsageError

__all__ = ["ffn_targets"]

# Llama, Mistral, Qwen, Gemma; Phi-3; OPT, Phi, Whisper; GPT-J; BLOOM, Falcon, GPT-NeoX; GPT-2, GPT-BigCode; T5.
_FFN = {
    *("gate_proj", "up_proj", "down_proj", "gate_up_proj"),
    *("fc1", "fc2", "fc_in", "fc_out"),
    *("dense_h_to_4h", "dense_4h_to_h"),
    *("c_fc", "c_proj"),
    *("wi", "wi_0", "wi_1", "wo"),
}
_LAYERS = ("Linear", "Conv1D")


def ffn_targets(model: Any) -> list[str]:
    """Names of the feed-forward projections, as PEFT takes them in ``target_modules``.

    A name that other layers have too (GPT-2's ``c_proj`` is in its attention as well) comes with its parent's name.

    Args:
        model: a model (`torch.nn.Module`), with or without adapters on it.

    Returns:
        Names in the order in which the model has them, such as ``["gate_proj", "up_proj", "down_proj"]``.

    Raises:
        UsageError: no feed-forward projection was found.
    """
    linear = [name.split(".") for name, module in _layers(model)]
    found = [path for path in linear if path[-1] in _FFN and not _in_attention(path)]
    chosen = {".".join(path) for path in found}
    names: dict[str, None] = {}
    for path in found:
        for length in range(1, len(path) + 1):
            name = ".".join(path[-length:])
            if all(".".join(other) in chosen for other in linear if other[-length:] == path[-length:]):
                names[name] = None
                break
    if not names:
        raise UsageError(
            f"{type(model).__name__} has no feed-forward projections that CME knows ({', '.join(sorted(_FFN))}). "
            "Name the layers to adapt with target_modules."
        )
    return list(names)


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


def _in_attention(path: list[str]) -> bool:
    return any("attn" in part or "attention" in part.lower() for part in path[:-1])
