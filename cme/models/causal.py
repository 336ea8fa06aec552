"""Checks that a base model is a causal language model."""

from pathlib import Path
from typing import Any

from cme.errors import SourceError

__all__ = ["check_causal", "check_kind"]

_LENGTH = 12
_TOLERANCE = {"float32": 1e-3, "float16": 0.25, "bfloat16": 1.0}
"""Largest difference of log-probabilities (nats) that counts as rounding, as in the engine's self-check."""


def check_kind(folder: Path) -> None:
    """Check by its configuration that a model is a causal language model.

    Args:
        folder: folder of the model.

    Raises:
        SourceError: if it is an encoder-decoder model such as T5, or another kind of model.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"{folder} cannot be loaded as a causal language model: {error}") from error
    encodes = getattr(config, "is_encoder_decoder", False)
    if encodes or type(config) not in AutoModelForCausalLM._model_mapping:
        kind = "an encoder-decoder model" if encodes else "not a causal language model"
        raise SourceError(
            f"{folder} is {kind} (model_type {config.model_type!r}). Give a causal language model, such as Llama, Qwen or GPT-2."
        )


def check_causal(model: Any) -> None:
    """Check that the predictions of a model do not depend on later tokens.

    transformers loads BERT and similar models as causal language models even if their configuration does not make them
    decoders, and XLNet reads in both directions unless it receives a mask. Such a model sees an answer before it predicts it.

    Args:
        model: the base model, in evaluation mode.

    Raises:
        SourceError: if the predictions depend on later tokens.
    """
    import torch

    size = model.get_input_embeddings().weight.shape[0]
    device = next(model.parameters()).device
    row = torch.arange(3, 3 + _LENGTH, device=device) % size
    ids = torch.stack([row, row])
    ids[1, -1] = (ids[1, -1] + size // 2) % size
    with torch.no_grad():
        logprobs = model(input_ids=ids).logits[:, :-1].float().log_softmax(-1)
    moved = float((logprobs[0] - logprobs[1]).abs().nan_to_num().max())
    if moved > _TOLERANCE.get(str(model.dtype).removeprefix("torch."), 1.0):
        raise SourceError(
            f"the predictions of {type(model).__name__} depend on later tokens, so it would see an answer before it predicts it. "
            "Give a causal language model, or set is_decoder in config.json if the model was trained as a decoder."
        )
