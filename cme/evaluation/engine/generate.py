"""Generates greedy texts. Prompts are read in passes, decoded together, and removed from the batch when they have ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cme.evaluation.engine.passes import read_prompts, width
from cme.evaluation.engine.plan import Budget, Prompt
from cme.evaluation.engine.runner import Past, Runner, check_finite, keep_rows, put, reserve

__all__ = ["Limits", "either", "generate", "stops_at"]

_WORTH_COMPACTING = 0.75
"""A batch is compacted when at most this share of its rows is unfinished. Compacting copies all keys and values."""


@dataclass(frozen=True)
class Limits:
    """Conditions that end a text.

    Attributes:
        new_tokens: maximum number of tokens.
        ends: tokens that end a text. The text includes them.
        stops: function that takes the tokens so far and returns whether the text ends.
    """

    new_tokens: int
    ends: frozenset[int]
    stops: Callable[[list[int]], bool]


def stops_at(tokenizer: Any, strings: Sequence[str]) -> Callable[[list[int]], bool]:
    """Return a function that tests for stop strings as lm-eval does.

    A stop string of n tokens is searched in the last n + 2 tokens.
    """
    windows = [(string, len(tokenizer.encode(string, add_special_tokens=False)) + 2) for string in strings]

    def test(tokens: list[int]) -> bool:
        return any(string in tokenizer.decode(tokens[-window:]) for string, window in windows)

    return test


def either(first: Callable[[list[int]], bool], second: Callable[[list[int]], bool]) -> Callable[[list[int]], bool]:
    """Return a function that tests for the stop of one function or of the other."""
    return lambda tokens: first(tokens) or second(tokens)


def generate(
    runner: Runner, prompts: Sequence[Prompt], prefix: Past | None, limits: Limits, budget: Budget
) -> dict[int, list[int]]:
    """Generate a text for each prompt of a batch with greedy decoding.

    Args:
        runner: the model.
        prompts: the batch, sorted from longest to shortest.
        prefix: the common prefix of the plan, read with ``keep``, or None.
        limits: conditions that end a text.
        budget: limit for the passes over the prompts.

    Returns:
        New tokens by index of the request, including the token that ended the text.

    Raises:
        NotFiniteError: if the model computes NaN or infinity.
    """
    past = _read(runner, prompts, prefix, limits.new_tokens, budget)
    texts: list[list[int]] = [[] for _ in prompts]
    rows, alive = list(range(len(prompts))), set(range(len(prompts)))
    while True:
        highest, tokens = past.logits.max(-1)
        check_finite(highest)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if row in alive:
                texts[row].append(token)
                if len(texts[row]) == limits.new_tokens or token in limits.ends or limits.stops(texts[row]):
                    alive.discard(row)
        if not alive:
            return {prompt.continuations[0][0]: text for prompt, text in zip(prompts, texts, strict=True)}
        if len(alive) <= _WORTH_COMPACTING * len(rows):
            left = torch.tensor([at for at, row in enumerate(rows) if row in alive], device=runner.device)
            rows = [row for row in rows if row in alive]
            past, tokens = keep_rows(past, left), tokens[left]
        runner.step(past, tokens, len(alive))


def _read(runner: Runner, prompts: Sequence[Prompt], prefix: Past | None, room: int, budget: Budget) -> Past:
    """Read the prompts in passes that fit the budget, and reserve room for the new tokens."""
    past = None
    for numbers, read in read_prompts(runner, prompts, prefix, budget, keep=True):
        if past is None:
            past = reserve(read, len(prompts), width(prompts), room)
        put(past, torch.tensor(numbers, device=runner.device), read)
    assert past is not None, "a batch without prompts"
    return past
