"""The self-check compares answers of the engine with a plain forward pass over each request."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch

from cme.evaluation.engine.choice import Answer
from cme.evaluation.engine.plan import Prompt

__all__ = ["TOLERANCE", "Probe", "answers_fault", "probes", "text_fault"]

Probe = Literal["ends", "longest"]
"""Prompts of a batch to check.

``ends`` means the longest prompt, which has no padding, and the shortest, which has the most. ``longest`` means only the longest
continuation of the longest prompt, which costs little.
"""

TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.25, torch.bfloat16: 1.0}
"""Largest difference (nats) that counts as rounding, by dtype of the weights. It is multiplied by √n for a sum over n tokens.

Differences measured with SmolLM2-135M are 5e-5 in float32 and up to 0.6 in bfloat16, where lm-eval's own answers differ by 0.5
between batch sizes. float16 has eight times the resolution of bfloat16. In half precision, the check detects only large errors.
"""


def answers_fault(
    answers: Mapping[int, Answer],
    prompts: Sequence[Prompt],
    plain: Callable[[Prompt], Sequence[Answer]],
    dtype: torch.dtype,
) -> str | None:
    """Compare the engine's answers to a batch with those of plain passes.

    Answers that are not finite are skipped, because the engine and the scoring raise errors for them.

    Args:
        answers: answers by index of the request.
        prompts: the prompts to check, from `probes`.
        plain: function that returns all answers to a prompt, each computed in a separate pass.
        dtype: dtype of the weights.

    Returns:
        A description of the fault, or None if the answers agree.
    """
    gaps = [
        abs(answers[index][0] - answer[0]) / len(tokens) ** 0.5
        for prompt in prompts
        for (index, tokens), answer in zip(prompt.continuations, plain(prompt), strict=True)
    ]
    return _fault(gaps, dtype)


def text_fault(
    answers: Mapping[int, list[int]],
    prompts: Sequence[Prompt],
    plain: Callable[[torch.Tensor], torch.Tensor],
    dtype: torch.dtype,
) -> str | None:
    """Check that each token of generated texts is also the most likely token in a plain pass.

    Args:
        answers: new tokens by index of the request.
        prompts: the prompts to check, from `probes`.
        plain: function that computes the logits [1, length, vocabulary] of tokens [1, length] in one pass.
        dtype: dtype of the weights.

    Returns:
        A description of the fault, or None if the texts agree.
    """
    gaps = []
    for prompt in prompts:
        text = answers[prompt.continuations[0][0]]
        logits = plain(torch.tensor([[*prompt.tokens, *text[:-1]]]))[0, -len(text) :].float().cpu()
        chosen = logits.gather(1, torch.tensor(text)[:, None])[:, 0]
        gaps.append(float((logits.amax(-1) - chosen).max()))
    return _fault(gaps, dtype)


def probes(prompts: Sequence[Prompt], probe: Probe) -> Sequence[Prompt]:
    """Return the prompts of a batch to check. The prompts of a batch are sorted from longest to shortest."""
    first = prompts[0]
    if probe == "longest":
        return [Prompt(first.tokens, (max(first.continuations, key=lambda item: len(item[1])),))]
    return prompts if len(prompts) == 1 else (first, prompts[-1])


def _fault(gaps: Sequence[float], dtype: torch.dtype) -> str | None:
    gap = max((gap for gap in gaps if math.isfinite(gap)), default=0.0)
    if gap <= TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16]):
        return None
    return f"the model's output depends on batching or caching (log-probabilities differ by {gap:.2g})"
