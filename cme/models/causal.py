"""Checks that the predictions of a base model do not depend on later tokens."""

from typing import Any

from cme.errors import SourceError
from cme.models.language import language_prefix

__all__ = ["check_causal"]

_LENGTH = 12
_TOLERANCE = {"float32": 1e-3, "float16": 0.25, "bfloat16": 1.0}
"""Largest difference of log-probabilities (nats) that counts as rounding, as in the engine's self-check."""


def check_causal(model: Any) -> None:
    """Check that the predictions of a model do not depend on later tokens.

    transformers loads BERT and similar models as causal language models even if their configuration does not make them
    decoders, and XLNet reads in both directions unless it receives a mask. Such a model sees an answer before it predicts it.

    Args:
        model: the base model, in evaluation mode.

    Raises:
        SourceError: if the predictions depend on later tokens, or the model cannot read text without an image.
    """
    import torch

    size = model.get_input_embeddings().weight.shape[0]
    device = next(model.parameters()).device
    row = torch.arange(3, 3 + _LENGTH, device=device) % size
    ids = torch.stack([row, row])
    ids[1, -1] = (ids[1, -1] + size // 2) % size
    with torch.no_grad():
        try:
            logits = model(input_ids=ids).logits
        except (AttributeError, TypeError, ValueError) as error:
            if language_prefix(model) is None:
                raise
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SourceError(
                f"{type(model).__name__} does not read text without an image ({first}). Give a vision-language model that does, "
                "such as LLaVA or Qwen-VL."
            ) from error
    logprobs = logits[:, :-1].float().log_softmax(-1)
    moved = float((logprobs[0] - logprobs[1]).abs().nan_to_num().max())
    if moved > _TOLERANCE.get(str(model.dtype).removeprefix("torch."), 1.0):
        raise SourceError(
            f"the predictions of {type(model).__name__} depend on later tokens, so it would see an answer before it predicts it. "
            "Give a causal language model, or set is_decoder in config.json if the model was trained as a decoder."
        )
