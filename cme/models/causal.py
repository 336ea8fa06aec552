"""Checks that the predictions of a base model do not depend on later tokens."""

from typing import Any

from cme.errors import SourceError
from cme.models.language import language_prefix

__all__ = ["check_causal"]

_LENGTH = 12
_TOLERANCE = {"float32": 1e-3, "float16": 0.25, "bfloat16": 1.0}
"""Largest difference of log-probabilities (nats) that counts as rounding, as in the engine's self-check."""


def check_causal(model: Any, prompt: dict[str, Any] | None = None) -> None:
    """Check that the predictions of a model do not depend on later tokens.

    transformers loads BERT and similar models as causal language models even if their configuration does not make them
    decoders, and XLNet reads in both directions unless it receives a mask. Such a model sees an answer before it predicts it.

    Args:
        model: the base model, in evaluation mode.
        prompt: inputs of the model that end with text, such as a question about an image with ``input_ids`` [1, length]. By
            default some tokens without an image.

    Raises:
        SourceError: if the predictions depend on later tokens, or the model cannot read text without an image.
    """
    first, second = _texts(model) if prompt is None else _prompts(model, prompt)
    logprobs = [logits[:, :-1].float().log_softmax(-1) for logits in (first, second)]
    moved = float((logprobs[0] - logprobs[1]).abs().nan_to_num().max())
    if moved > _TOLERANCE.get(str(model.dtype).removeprefix("torch."), 1.0):
        raise SourceError(
            f"the predictions of {type(model).__name__} depend on later tokens, so it would see an answer before it predicts it. "
            "Give a causal language model, or set is_decoder in config.json if the model was trained as a decoder."
        )


def _texts(model: Any) -> tuple[Any, Any]:
    """Return the logits [1, length, vocabulary] of two texts that differ in their last token."""
    import torch

    size = model.get_input_embeddings().weight.shape[0]
    row = torch.arange(3, 3 + _LENGTH, device=next(model.parameters()).device) % size
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
    return logits[:1], logits[1:]


def _prompts(model: Any, prompt: dict[str, Any]) -> tuple[Any, Any]:
    """Return the logits [1, length, vocabulary] of a prompt, and of one with another last token."""
    import torch

    weight = next(model.parameters())
    tensors = {
        name: value.to(weight.device, weight.dtype if value.is_floating_point() else None)
        for name, value in prompt.items()
    }
    ids = tensors["input_ids"]
    changed = ids.clone()
    # The last other token of the prompt is text, and not a placeholder of an image.
    changed[0, -1] = next((token for token in ids[0].flip(0) if token != ids[0, -1]), ids[0, -1])
    with torch.no_grad():
        return model(**tensors).logits, model(**tensors | {"input_ids": changed}).logits
