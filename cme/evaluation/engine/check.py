"""The self-check: does the engine say what a plain pass over each request says?"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch

from cme.evaluation.engine.choice import Answer
from cme.evaluation.engine.plan import Prompt

__all__ = ["TOLERANCE", "Probe", "answers_fault", "probes", "text_fault"]

Probe = Literal["ends", "longest"]
"""What of a batch is checked: its longest prompt, which has no padding, and its shortest, which has the most; or of the longest
prompt the longest continuation alone, which costs little."""

TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.25, torch.bfloat16: 1.0}
"""Largest difference (nats) that counts as rounding, by the weights' dtype; times √n for a sum over n tokens.

Measured with SmolLM2-135M: 5e-5 in float32; up to 0.6 in bfloat16, where lm-eval's own answers differ by 0.5 between batch
sizes. float16 has eight times bfloat16's resolution. In half precision only a gross break of the assumption shows."""


def answers_fault(
    answers: Mapping[int, Answer],
    prompts: Sequence[Prompt],
    plain: Callable[[Prompt], Sequence[Answer]],
    dtype: torch.dtype,
) -> str | None:
    """What is wrong with the engine's answers to a batch, in words; None: nothing.

    What is not finite is left out here: the engine refuses its own answers, whoever scores them refuses the plain ones.

    Args:
        answers: request index → answer.
        prompts: from `probes`.
        plain: all answers to a prompt, each from a pass of its own.
        dtype: of the weights.
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
    """What is wrong with a batch of generated texts, in words; None: a plain pass prefers each of their tokens, too.

    Args:
        answers: request index → the new tokens.
        prompts: from `probes`.
        plain: tokens [1, length] → logits [1, length, vocabulary], in one pass.
        dtype: of the weights.
    """
    gaps = []
    for prompt in prompts:
        text = answers[prompt.continuations[0][0]]
        logits = plain(torch.tensor([[*prompt.tokens, *text[:-1]]]))[0, -len(text) :].float().cpu()
        chosen = logits.gather(1, torch.tensor(text)[:, None])[:, 0]
        gaps.append(float((logits.amax(-1) - chosen).max()))
    return _fault(gaps, dtype)


def probes(prompts: Sequence[Prompt], probe: Probe) -> Sequence[Prompt]:
    """The prompts of a batch, longest first, that are to be checked."""
    first = prompts[0]
    if probe == "longest":
        return [Prompt(first.tokens, (max(first.continuations, key=lambda item: len(item[1])),))]
    return prompts if len(prompts) == 1 else (first, prompts[-1])


def _fault(gaps: Sequence[float], dtype: torch.dtype) -> str | None:
    gap = max((gap for gap in gaps if math.isfinite(gap)), default=0.0)
    if gap <= TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16]):
        return None
    return f"the model's output depends on what is computed together (log-probabilities move by {gap:.2g})"
