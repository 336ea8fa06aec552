"""The divergence of two models on texts, and the loss of one model on text. Sums are computed in float64."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from cme.errors import AdapterError

__all__ = ["batches", "chosen_logprobs", "divergences", "losses", "predictions"]

_LOGITS = 2**25
"""Most logits of a batch."""

_CHUNK = 2**22
"""Most logits that are converted to float64 at once."""


_NOT_FINITE = "the model's logits are not finite, so the adapter or the base is broken. Train the adapter again."


def batches(model: Any, sequences: Sequence[Sequence[int]]) -> Iterator[Any]:
    """Yield tensors of token ids, [B, length], of sequences of equal length, as many as a batch of logits allows."""
    import torch

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    vocabulary = inner.config.get_text_config().vocab_size
    size = max(1, _LOGITS // (len(sequences[0]) * vocabulary))
    device = next(model.parameters()).device
    for start in range(0, len(sequences), size):
        yield torch.tensor(sequences[start : start + size], device=device)


def predictions(model: Any, ids: Any, first: int) -> Any:
    """Compute the logits that predict the tokens from position ``first`` on.

    Args:
        model: the model, in evaluation mode. Virtual tokens of prompt-learning methods before the text are left out.
        ids: token ids, [B, L].
        first: position of the first predicted token, at least 1.

    Returns:
        Logits, [B, L − first, V].
    """
    import torch

    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits[:, -ids.shape[1] :][:, first - 1 : -1]
    return logits.cpu() if logits.device.type == "mps" else logits


def divergences(base: Any, adapted: Any) -> Any:
    """Compute KL(base ‖ adapted) of every predicted token in nats.

    Args:
        base: logits of the base, [B, T, V].
        adapted: logits of the adapted model, [B, T, V].

    Returns:
        The divergences, [B, T], in float64. Equal logits give exactly 0.

    Raises:
        AdapterError: the models have other vocabularies, or a logit is not finite.
    """
    import torch

    if base.shape != adapted.shape:
        raise AdapterError(
            f"the base predicts {base.shape[-1]} tokens and the adapted model {adapted.shape[-1]}, so they cannot be compared. "
            "Leave --retention out."
        )
    step = max(1, _CHUNK // (base.shape[0] * base.shape[-1]))
    parts = []
    for start in range(0, base.shape[1], step):
        log_p, log_q = (item[:, start : start + step].double().log_softmax(-1) for item in (base, adapted))
        terms = log_p.exp() * (log_p - log_q)
        parts.append(torch.where(log_p.isneginf(), 0.0, terms).sum(-1))
    result = torch.cat(parts, dim=1)
    if not bool(result.isfinite().all()):
        raise AdapterError(_NOT_FINITE)
    # Rounding can give −1e−17.
    return result.clamp(min=0.0)


def chosen_logprobs(logits: Any, tokens: Any) -> Any:
    """Compute the log-probabilities of tokens in nats, in float64.

    Args:
        logits: logits, [B, T, V].
        tokens: the tokens that followed, [B, T].

    Returns:
        The log-probabilities, [B, T].
    """
    import torch

    tokens = tokens.to(logits.device)
    step = max(1, _CHUNK // (logits.shape[0] * logits.shape[-1]))
    parts = [
        logits[:, start : start + step].double().log_softmax(-1).gather(-1, tokens[:, start : start + step, None])
        for start in range(0, logits.shape[1], step)
    ]
    return torch.cat(parts, dim=1)[..., 0]


def losses(model: Any, windows: Sequence[Sequence[int]]) -> list[float]:
    """Compute the mean loss of each window: of its tokens after the first, each predicted from the tokens before it.

    Args:
        model: the model, in evaluation mode.
        windows: token ids, [N][L].

    Returns:
        Nats per token, [N].

    Raises:
        AdapterError: a loss is not finite.
    """
    values: list[float] = []
    for ids in batches(model, windows):
        values += (-chosen_logprobs(predictions(model, ids, 1), ids[:, 1:]).mean(dim=1)).tolist()
    if not all(map(math.isfinite, values)):
        raise AdapterError(_NOT_FINITE)
    return values
