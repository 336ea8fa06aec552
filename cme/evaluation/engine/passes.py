"""Divides the prompts of a batch into forward passes. A passage that several prompts share is read once."""

from collections.abc import Iterator, Sequence

import torch

from cme.evaluation.engine.plan import Budget, Prompt, Tokens
from cme.evaluation.engine.runner import Past, Runner, put, reserve

__all__ = ["passages", "passes", "read_prompts", "width"]


def passages(prompts: Sequence[Prompt]) -> list[Tokens]:
    """Return the distinct passages of a batch, the common prefix included, from longest to shortest."""
    shared = {prompt.tokens[: prompt.shared] for prompt in prompts if prompt.shared}
    return sorted(shared, key=lambda passage: (-len(passage), passage))


def width(prompts: Sequence[Prompt]) -> int:
    """Return the number of positions per row, padding included, that suffices for every pass over a batch."""
    # Passages and the tokens after them are padded separately.
    shared = max(prompt.shared for prompt in prompts)
    after = max((len(prompt.tokens) - prompt.shared for prompt in prompts if prompt.shared), default=0)
    return max(shared + after, *(len(prompt.tokens) for prompt in prompts))


def passes(rows: Sequence[int], budget: Budget) -> list[list[int]]:
    """Divide rows into passes.

    Args:
        rows: number of tokens of each row.
        budget: limits for each pass. A row that exceeds them is a pass of its own.

    Returns:
        The indices of the rows of each pass, from the longest row to the shortest.
    """
    order = sorted(range(len(rows)), key=lambda number: -rows[number])
    parts: list[list[int]] = []
    for number in order:
        if parts and (len(parts[-1]) + 1) * rows[parts[-1][0]] <= budget.tokens:
            parts[-1].append(number)
        else:
            parts.append([number])
    return parts


def read_prompts(
    runner: Runner, prompts: Sequence[Prompt], prefix: Past | None, budget: Budget, *, keep: bool
) -> Iterator[tuple[list[int], Past]]:
    """Read the prompts of a batch in passes that fit the budget. Each pass is yielded as soon as it is computed.

    Args:
        runner: the model.
        prompts: the batch, sorted from longest to shortest.
        prefix: the common prefix of the plan, read with ``keep``, or None.
        budget: limits for each pass.
        keep: whether to return the keys and values.

    Yields:
        The indices of the prompts of a pass, and their processed rows.
    """
    before = 0 if prefix is None else int(prefix.lengths[0])
    alone = [number for number, prompt in enumerate(prompts) if not prompt.shared]
    for numbers, rows in _rows(prompts, alone, before, budget):
        yield numbers, runner.read(rows, prefix, keep=keep)
    shared = passages(prompts)
    if not shared:
        return
    past = _read_passages(runner, [passage[before:] for passage in shared], prefix, budget)
    place = {passage: row for row, passage in enumerate(shared)}
    together = [number for number, prompt in enumerate(prompts) if prompt.shared]
    for numbers, rows in _rows(prompts, together, 0, budget):
        taken = [place[prompts[number].tokens[: prompts[number].shared]] for number in numbers]
        yield numbers, runner.read(rows, past, torch.tensor(taken, device=runner.device), keep=keep)


def _rows(
    prompts: Sequence[Prompt], numbers: Sequence[int], before: int, budget: Budget
) -> Iterator[tuple[list[int], list[Tokens]]]:
    """Yield the indices of the prompts of each pass, and their tokens after the passage or the common prefix."""
    rests = [prompts[number].tokens[prompts[number].shared or before :] for number in numbers]
    for part in passes([len(rest) for rest in rests], budget):
        yield [numbers[at] for at in part], [rests[at] for at in part]


def _read_passages(runner: Runner, rows: Sequence[Tokens], prefix: Past | None, budget: Budget) -> Past:
    """Read passages, sorted from longest to shortest, in passes that fit the budget, and return them together."""
    parts = passes([len(row) for row in rows], budget)
    past = None
    for part in parts:
        read = runner.read([rows[number] for number in part], prefix, keep=True)
        if len(parts) == 1:
            return read
        if past is None:
            past = reserve(read, len(rows), read.mask.shape[1], room=0)
        put(past, torch.tensor(part, device=runner.device), read)
    assert past is not None, "a batch without passages"
    return past
