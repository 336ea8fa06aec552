"""Which requests are computed together: a pure function of the full request list and the budget."""

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
"""lm-eval's own: (context and continuation as text), context tokens, continuation tokens."""

_PREFIX_SHARE = 0.1
"""A common prefix is computed apart if that saves at least this share of the prompts' tokens: attention over a re-used
prefix needs an explicit mask, which costs more than very little saved."""


_CPU_CACHE, _GPU_CACHE = 2 << 30, 8 << 30
"""Most bytes of keys and values kept at once: SmolLM2-135M stays below both, Llama-2-7B (0.5 MiB a position) does not."""


@dataclass(frozen=True)
class Budget:
    """How much is computed and kept at once.

    Attributes:
        tokens: positions (padding included) per pass over prompts.
        cache: positions whose keys and values are kept at once, while continuations are scored or text is generated.
        rows: texts generated at once.
    """

    tokens: int
    cache: int
    rows: int

    @classmethod
    def default(cls, device: str, position: int) -> "Budget":
        """The budget for a device and a model.

        On a CPU more positions per pass are no faster (SmolLM2-135M, float32, one thread: about 400 tokens/s from 128
        positions on), while a decoding step of 32 rows takes hardly longer than one of 16.

        Args:
            device: ``cpu``, or anything else.
            position: bytes of the keys and values of one position, all layers together.
        """
        if device == "cpu":
            return cls(tokens=512, cache=min(16_384, _CPU_CACHE // position), rows=64)
        return cls(tokens=8192, cache=min(65_536, _GPU_CACHE // position), rows=256)

    def scaled(self, tokens: int) -> "Budget":
        """A budget of other ``tokens``, all else in proportion, at least 1."""
        return Budget(tokens, max(1, self.cache * tokens // self.tokens), max(1, self.rows * tokens // self.tokens))


@dataclass(frozen=True)
class Prompt:
    """A prompt and everything that is asked about it.

    Attributes:
        tokens: the prompt as the model sees it, at least one token.
        continuations: (index of the request, its continuation's tokens); no continuation for a text to be generated.
    """

    tokens: Tokens
    continuations: tuple[tuple[int, Tokens], ...]

    @property
    def single(self) -> bool:
        """Whether every continuation is one token, so that a pass over the prompt answers all."""
        return all(len(continuation) == 1 for _, continuation in self.continuations)


@dataclass(frozen=True)
class Plan:
    """What is computed, in order.

    Attributes:
        prefix: tokens with which every prompt begins, computed once; empty if that would not pay.
        batches: prompts that are computed together, longest first.
    """

    prefix: Tokens
    batches: tuple[tuple[Prompt, ...], ...]


def choice_plan(requests: Sequence[tuple[Sequence[int], Sequence[int]]], max_length: int, budget: Budget) -> Plan:
    """Plan the scoring of continuations.

    Args:
        requests: (context tokens, continuation tokens), neither empty. What exceeds the model is cut from the left as
            lm-eval's `HFLM` does: context and continuation together keep their last ``max_length`` + 1 tokens.
        max_length: most tokens that the model takes.
        budget: the budget.

    Raises:
        CMEError: a context or a continuation without tokens, or a continuation that is longer than the model takes.
    """
    continuations: dict[Tokens, list[tuple[int, Tokens]]] = {}
    for index, (context, continuation) in enumerate(requests):
        if not context or not 0 < len(continuation) <= max_length:
            raise CMEError(
                f"a request has {len(context)} tokens of context and {len(continuation)} of continuation; the model needs "
                f"at least one of each, and takes {max_length} of continuation at most."
            )
        room = max_length + 1 - len(continuation)
        continuations.setdefault(tuple(context[-room:]), []).append((index, tuple(continuation)))
    prompts = by_length([Prompt(tokens, tuple(items)) for tokens, items in continuations.items()])
    prefix = common_prefix([prompt.tokens for prompt in prompts])
    return Plan(prefix, split(prompts, len(prefix), budget.tokens))


def text_plan(requests: Sequence[Sequence[int]], new_tokens: int, budget: Budget) -> Plan:
    """Plan the generation of texts: each batch is decoded together until all of its rows have ended.

    Args:
        requests: the prompts' tokens, none empty.
        new_tokens: most tokens that are generated for each.
        budget: the budget.
    """
    prompts = by_length([Prompt(tuple(tokens), ((index, ()),)) for index, tokens in enumerate(requests)])
    prefix = common_prefix([prompt.tokens for prompt in prompts])
    return Plan(prefix, split(prompts, -new_tokens, budget.cache, budget.rows))


def by_length(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Longest first; equally long ones by their tokens, so that the order of the requests plays no part."""
    return sorted(prompts, key=lambda prompt: (-len(prompt.tokens), prompt.tokens, prompt.continuations))


def common_prefix(prompts: Sequence[Tokens]) -> Tokens:
    """The tokens with which all prompts begin, if computing them once pays. A token of each prompt always remains."""
    if len(prompts) < 2:
        return ()
    first, last = min(prompts), max(prompts)
    length, most = 0, min(map(len, prompts)) - 1
    while length < most and first[length] == last[length]:
        length += 1
    saved = length * (len(prompts) - 1)
    return first[:length] if saved >= _PREFIX_SHARE * sum(map(len, prompts)) else ()


def split(prompts: Sequence[Prompt], done: int, most: int, rows: int | None = None) -> tuple[tuple[Prompt, ...], ...]:
    """Cut a list of prompts, longest first, into batches.

    Args:
        prompts: from `by_length`.
        done: tokens of each prompt that need no computing; negative: that many more per prompt.
        most: positions per batch, padding included; a prompt that is longer stands alone.
        rows: prompts per batch; None: as many as fit.
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
    """The batches (indices of requests) in which lm-eval's `HFLM` scores requests.

    Args:
        requests: to score.
        size: rows per batch.
        share: whether requests that read the same tokens are one row (`HFLM`'s ``logits_cache``).
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
    """The batches (indices of requests) in which lm-eval's `HFLM` generates texts.

    Args:
        requests: (prompt, settings).
        length: of a prompt, in tokens.
        size: prompts per batch.
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
