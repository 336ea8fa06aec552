"""Computes the log-probabilities of the options of questions about images."""

from typing import Any

from cme.evaluation.images.prompts import Inputs

__all__ = ["score_options"]

_PER_TOKEN = ("attention_mask", "mm_token_type_ids", "token_type_ids")
"""Inputs with one value per token. Tokens of an answer are text, which has the type 0 and the mask 1."""


def score_options(model: Any, inputs: Inputs) -> list[tuple[float, bool]]:
    """Compute the log-probability of each option after the prompt.

    Options that differ only in their last token need one pass over the prompt. Otherwise each option needs a pass.

    Args:
        model: a vision-language model or a `PeftModel` of one, in evaluation mode.
        inputs: the prompt with its image, and the tokens of the options.

    Returns:
        For each option the log-probability in nats, and whether all its tokens are the most likely ones.

    Raises:
        NotFiniteError: a log-probability is NaN or infinite.
    """
    import torch

    from cme.evaluation.engine.runner import check_finite

    weight = next(model.parameters())
    tensors = {
        name: value.to(weight.device, weight.dtype if value.is_floating_point() else None)
        for name, value in inputs.tensors.items()
    }
    starts = {answer[:-1] for answer in inputs.answers}
    scores = []
    with torch.inference_mode():
        read = _logprobs(model, tensors, starts.pop()) if len(starts) == 1 else None
        for answer in inputs.answers:
            logprobs = read if read is not None else _logprobs(model, tensors, answer[:-1])
            ids = torch.tensor(answer, device=logprobs.device)
            chosen = logprobs.gather(1, ids[:, None]).sum()
            check_finite(chosen)
            scores.append((float(chosen), bool((logprobs.argmax(-1) == ids).all())))
    return scores


def _logprobs(model: Any, tensors: dict[str, Any], more: tuple[int, ...]) -> Any:
    """Return log-probabilities [tokens + 1, vocabulary] in float32 after the prompt and after each further token."""
    import torch

    ids = tensors["input_ids"]
    added = torch.tensor([more], dtype=ids.dtype, device=ids.device).reshape(1, -1)
    longer = tensors | {"input_ids": torch.cat([ids, added], dim=1)}
    for name in _PER_TOKEN:
        if name in tensors:
            value = torch.ones_like(added) if name == "attention_mask" else torch.zeros_like(added)
            longer[name] = torch.cat([tensors[name], value.to(tensors[name].dtype)], dim=1)
    logits = model(**longer).logits[0, -1 - len(more) :]
    return logits.float().log_softmax(-1)
