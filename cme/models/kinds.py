"""Kinds of base models: the class of transformers that loads a base, and the bases that CME refuses."""

from pathlib import Path
from typing import Any

from cme.errors import SourceError

__all__ = ["auto_class", "auto_class_name", "check_kind", "is_vision_language"]

_HEADS = {
    "ForSequenceClassification": "classifies texts",
    "ForTokenClassification": "classifies tokens",
    "ForQuestionAnswering": "marks answers in a passage",
    "ForMultipleChoice": "has one score per option as its output",
    "ForMaskedLM": "fills gaps in a text that it reads in both directions",
}
"""What models with other output layers do, by the end of the name of their class."""

_CHOSEN = ("num_experts_per_tok", "moe_topk", "moe_top_k", "top_k_experts")
"""Settings of transformers' mixtures with the number of experts that a token uses."""

_THERE = ("num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts")
"""Settings of transformers' mixtures with the number of experts that a token can choose from."""


def check_kind(folder: Path) -> Any:
    """Check by its configuration that a base is a causal language model or a vision-language model.

    Args:
        folder: folder of the model.

    Returns:
        The configuration.

    Raises:
        SourceError: if it is an encoder-decoder model such as T5, a classifier, or another kind of model, or if it is a mixture
            that chooses more experts than it has.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"{folder} cannot be loaded as a causal language model: {error}") from error
    if kind := _other_kind(config):
        raise SourceError(
            f"{folder} is {kind} (model_type {config.model_type!r}). Give a causal language model, such as Llama, Qwen or GPT-2."
        )
    for end, work in _HEADS.items():
        saved = _saved_class(config)
        if saved.endswith(end) and not getattr(config, "is_decoder", False):
            raise SourceError(
                f"{folder} is a {saved}, which {work} and does not continue a text. Give a causal language model, such as "
                "Llama, Qwen or GPT-2."
            )
    _check_experts(folder, config.get_text_config())
    return config


def _check_experts(folder: Path, config: Any) -> None:
    """Check that a mixture of experts has as many as it chooses for a token. PyTorch would fail in the first forward pass."""
    chosen, there = (
        {key: value for key in keys if isinstance(value := getattr(config, key, None), int)}
        for keys in (_CHOSEN, _THERE)
    )
    for key, most in there.items():
        for choice, count in chosen.items():
            if 0 < most < count:
                raise SourceError(
                    f"{folder} chooses {count} experts for a token ({choice}) but has {most} ({key}). Correct its config.json."
                )


def auto_class(config: Any) -> Any:
    """Return the class with ``from_pretrained`` that loads a base, or None if CME does not support its kind.

    Some configurations belong to a vision-language model and also to its language model alone. The saved class then decides.

    Args:
        config: configuration of the base.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    if _encodes(config):
        return None
    image = AutoModelForImageTextToText._model_mapping.get(type(config), None)
    if type(config) in AutoModelForCausalLM._model_mapping and not (image and _saved_class(config) == image.__name__):
        return AutoModelForCausalLM
    return AutoModelForImageTextToText if image else None


def auto_class_name(folder: Path) -> str:
    """Return the name of the class that loads a base, such as ``AutoModelForCausalLM``, for code in model cards.

    Args:
        folder: folder of the base.
    """
    return str(auto_class(check_kind(folder)).__name__)


def is_vision_language(config: Any) -> bool:
    """Return whether a base is loaded as a vision-language model.

    Args:
        config: configuration of the base.
    """
    from transformers import AutoModelForImageTextToText

    return auto_class(config) is AutoModelForImageTextToText


def _other_kind(config: Any) -> str | None:
    if _encodes(config):
        return "an encoder-decoder model"
    return None if auto_class(config) else "not a causal language model"


def _encodes(config: Any) -> bool:
    """Return whether a base or its language model is an encoder-decoder model."""
    texts = (config, config.get_text_config(decoder=False))
    return any(getattr(each, "is_encoder_decoder", False) for each in texts)


def _saved_class(config: Any) -> str:
    return str((getattr(config, "architectures", None) or [""])[0])
