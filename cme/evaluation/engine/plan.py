"""Groups requests into batches. The plan depends only on the list of requests and the budget.

`cme.evaluation.engine.tree` improves a plan whose prompts share passages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from cme.errors import CMEError

__all__ = [
    "Budget",
    "Plan",
    "Prompt",
    "Request",
    "by_length",
    "choice_plan",
    "common_prefix",
    "plain_choice_batches",
    "plain_text_batches",
    "split",
    "text_plan",
]

Tokens = tuple[int, ...]

Request = tuple[Any, list[int], list[int]]
"""lm-eval's request: (context and continuation as text), context tokens, continuation tokens."""

_PREFIX_SHARE = 0.1
"""A common prefix is computed separately if that saves at least this share of the prompts' tokens.

Attention over a reused prefix needs an explicit mask, which would cost more than a smaller saving.
"""

_CPU_CACHE, _GPU_CACHE = 2 << 30, 8 << 30
"""Maximum number of bytes of cached keys and values. SmolLM2-135M stays below both limits; Llama-2-7B with 0.5 MiB per position
does not."""


@dataclass(frozen=True)
class Budget:
    """Limits for the computation of one batch.

    Attributes:
        tokens: maximum number of positions, including padding, in a pass over prompts.
        cache: maximum number of positions with cached keys and values while continuations are scored or text is generated.
        rows: maximum number of texts that are generated together.
    """

    tokens: int
    cache: int
    rows: int

    @classmethod
    def default(cls, device: str, position: int) -> "Budget":
        """Return the default budget for a device and a model.

        On a CPU, more positions per pass are not faster: SmolLM2-135M in float32 with one thread computes about 400 tokens/s
        from 128 positions on. A decoding step of 32 rows takes hardly longer than one of 16 rows.

        Args:
            device: ``cpu`` or another device.
            position: number of bytes of the keys and values of one position in all layers.
        """
        if device == "cpu":
            return cls(tokens=512, cache=min(16_384, _CPU_CACHE // position), rows=64)
        return cls(tokens=8192, cache=min(65_536, _GPU_CACHE // position), rows=256)

    def scaled(self, tokens: int) -> "Budget":
        """Return a budget with this number of ``tokens`` and the other limits in proportion, at least 1."""
        return Budget(tokens, max(1, self.cache * tokens // self.tokens), max(1, self.rows * tokens // self.tokens))


@dataclass(frozen=True)
class Prompt:
    """A prompt and the continuations to score.

    Attributes:
        tokens: tokens of the prompt, at least one.
        continuations: for each request, its index and the tokens of its continuation. They are empty for a text to generate.
        shared: number of tokens at the beginning that other prompts of the batch share, the plan's common prefix included. The
            batch computes them once. It is 0 if the prompt shares nothing but the common prefix.
    """

    tokens: Tokens
    continuations: tuple[tuple[int, Tokens], ...]
    shared: int = 0

    @property
    def single(self) -> bool:
        """Whether every continuation is a single token, so that one pass over the prompt scores all of them."""
        return all(len(continuation) == 1 for _, continuation in self.continuations)


@dataclass(frozen=True)
class Plan:
    """Batches in the order of their computation.

    Attributes:
        prefix: common prefix of all prompts, which is computed once. It is empty if the saving would be too small.
        batches: prompts of each batch, sorted from longest to shortest.
    """

    prefix: Tokens
    batches: tuple[tuple[Prompt, ...], ...]


def choice_plan(requests: Sequence[tuple[Sequence[int], Sequence[int]]], max_length: int, budget: Budget) -> Plan:
    """Plan the scoring of continuations.

    Args:
        requests: (context tokens, continuation tokens), neither empty. Long requests are truncated on the left as in lm-eval's
            `HFLM`: context and continuation together keep their last ``max_length`` + 1 tokens.
        max_length: maximum number of tokens of the model.
        budget: limits for each batch.

    Raises:
        CMEError: if a context or a continuation is empty, or a continuation is longer than ``max_length``.
    """
    continuations: dict[Tokens, list[tuple[int, Tokens]]] = {}
    for index, (context, continuation) in enumerate(requests):
        if not context or not 0 < len(continuation) <= max_length:
            raise CMEError(
                f"a request has {len(context)} context tokens and {len(continuation)} continuation tokens. Both need at least "
                f"one token, and the continuation may have at most {max_length}."
            )
        room = max_length + 1 - len(continuation)
        continuations.setdefault(tuple(context[-room:]), []).append((index, tuple(continuation)))
    prompts = by_length([Prompt(tokens, tuple(items)) for tokens, items in continuations.items()])
    prefix = common_prefix([prompt.tokens for prompt in prompts])
    return Plan(prefix, split(prompts, len(prefix), budget.tokens))


def text_plan(requests: Sequence[Sequence[int]], new_tokens: int, budget: Budget) -> Plan:
    """Plan the generation of texts. Each batch is decoded until all of its texts have ended.

    Args:
        requests: tokens of each prompt. No prompt may be empty.
        new_tokens: maximum number of new tokens per text.
        budget: limits for each batch.
    """
    prompts = by_length([Prompt(tuple(tokens), ((index, ()),)) for index, tokens in enumerate(requests)])
    prefix = common_prefix([prompt.tokens for prompt in prompts])
    return Plan(prefix, split(prompts, -new_tokens, budget.cache, budget.rows))


def by_length(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Sort prompts from longest to shortest, and equally long ones by their tokens, independent of the order of requests."""
    return sorted(prompts, key=lambda prompt: (-len(prompt.tokens), prompt.tokens, prompt.continuations))


def common_prefix(prompts: Sequence[Tokens]) -> Tokens:
    """Return the common prefix of all prompts, or nothing if the saving is too small. It is shorter than every prompt."""
    if len(prompts) < 2:
        return ()
    first, last = min(prompts), max(prompts)
    length, most = 0, min(map(len, prompts)) - 1
    while length < most and first[length] == last[length]:
        length += 1
    saved = length * (len(prompts) - 1)
    return first[:length] if saved >= _PREFIX_SHARE * sum(map(len, prompts)) else ()


def split(prompts: Sequence[Prompt], done: int, most: int, rows: int | None = None) -> tuple[tuple[Prompt, ...], ...]:
    """Split prompts into batches.

    Args:
        prompts: prompts sorted by `by_length`.
        done: number of tokens of each prompt that are already computed. A negative number reserves positions for new tokens.
        most: maximum number of positions per batch, including padding. A longer prompt is a batch of its own.
        rows: maximum number of prompts per batch. None means no limit.
    """
    batches: list[list[Prompt]] = []
    for prompt in prompts:
        fits = batches and (len(batches[-1]) + 1) * (len(batches[-1][0].tokens) - done) <= most
        if fits and (rows is None or len(batches[-1]) < rows):
            batches[-1].append(prompt)
        else:
            batches.append([prompt])
    return tuple(map(tuple, batches))


def plain_choice_batches(requests: Sequence[Request], size: int, *, share: bool) -> list[list[int]]:
    """Return the batches, as indices of requests, in which lm-eval's `HFLM` scores requests.

    Args:
        requests: the requests.
        size: number of rows per batch.
        share: whether requests with equal tokens share a row (``logits_cache`` of `HFLM`).
    """
    rows: dict[Any, list[int]] = {}
    for index, (_, context, continuation) in enumerate(requests):
        rows.setdefault((*context, *continuation[:-1]) if share else index, []).append(index)

    def order(row: list[int]) -> tuple[int, list[int]]:
        longest = max(row, key=lambda index: len(requests[index][2]))
        tokens = requests[longest][1] + requests[longest][2]
        return -len(tokens), tokens

    return [list(chain(*part)) for part in _chunks(sorted(rows.values(), key=order), size)]


def plain_text_batches(
    requests: Sequence[tuple[str, dict[str, Any]]], length: Callable[[str], int], size: int
) -> list[list[int]]:
    """Return the batches, as indices of requests, in which lm-eval's `HFLM` generates texts.

    Args:
        requests: prompt and settings of each request.
        length: function that returns the number of tokens of a prompt.
        size: number of prompts per batch.
    """
    groups: dict[str, list[int]] = {}
    for index, (_, settings) in enumerate(requests):
        groups.setdefault(repr(sorted(settings.items())), []).append(index)
    batches = []
    for indices in groups.values():
        batches += _chunks(sorted(indices, key=lambda i: (-length(requests[i][0]), requests[i][0])), size)
    return batches


def _chunks(items: Sequence[Any], size: int) -> list[list[Any]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
