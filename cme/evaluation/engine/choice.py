"""Computes the log-probabilities of continuations with passes over the prompts and passes over the continuations."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from cme.evaluation.engine.passes import read_prompts
from cme.evaluation.engine.plan import Budget, Prompt
from cme.evaluation.engine.runner import Past, Runner, check_finite

__all__ = ["Answer", "score"]

Answer = tuple[float, bool]
"""Summed log-probability (nats) of a continuation, and whether each of its tokens is the most likely one."""

_LOGITS_COST = 4
"""Number of positions of the budget that one position with logits uses. Logits are large and converted to float32."""

Row = tuple[int, tuple[int, ...]]
"""Index of a prompt in its batch, and the tokens that follow it."""


def score(runner: Runner, prompts: Sequence[Prompt], prefix: Past | None, budget: Budget) -> dict[int, Answer]:
    """Score all continuations of a batch of prompts.

    Args:
        runner: the model.
        prompts: the batch.
        prefix: the common prefix of the plan, read with ``keep``, or None.
        budget: limits for each pass.

    Returns:
        Answers by index of the request. Log-probabilities are computed in float32.

    Raises:
        NotFiniteError: if a log-probability is NaN or infinite.
    """
    answers: dict[int, Answer] = {}
    keep = not all(prompt.single for prompt in prompts)
    for numbers, read in read_prompts(runner, prompts, prefix, budget, keep=keep):
        answers |= _score(runner, [prompts[number] for number in numbers], read, budget)
    return answers


def _score(runner: Runner, prompts: Sequence[Prompt], read: Past, budget: Budget) -> dict[int, Answer]:
    """Score all continuations of prompts that were read in one pass.

    Args:
        runner: the model.
        prompts: the prompts.
        read: what was read, with ``keep`` if a continuation has several tokens.
        budget: limit for the pass over continuations. Continuations beyond it are computed in further passes.
    """
    targets = [
        (number, index, tokens) for number, prompt in enumerate(prompts) for index, tokens in prompt.continuations
    ]
    number = torch.tensor([item[0] for item in targets], device=runner.device)
    total, greedy = _pick(read.logits[:, None], number, [item[2][:1] for item in targets])
    # Continuations that differ only in their last token are computed once.
    rows = sorted({(number, tokens[:-1]) for number, _, tokens in targets if len(tokens) > 1}, key=_by_length)
    for part in _parts(rows, read.mask.shape[1], budget):
        logits = runner.go_on(read, torch.tensor([row[0] for row in part], device=runner.device), [r[1] for r in part])
        place = {row: at for at, row in enumerate(part)}
        here = [at for at, (prompt, _, tokens) in enumerate(targets) if (prompt, tokens[:-1]) in place]
        taken = torch.tensor([place[targets[at][0], targets[at][2][:-1]] for at in here], device=runner.device)
        more, also = _pick(logits, taken, [targets[at][2][1:] for at in here])
        total[here] += more
        greedy[here] &= also
    check_finite(total)
    return {item[1]: (value, best) for item, value, best in zip(targets, total.tolist(), greedy.tolist(), strict=True)}


def _pick(logits: Tensor, rows: Tensor, targets: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return the summed log-probability of each target, and whether all of its tokens are the most likely ones.

    Args:
        logits: logits [rows, length, vocabulary].
        rows: row of the logits for each target [targets].
        targets: tokens of each target, from the first position on.
    """
    length = max(map(len, targets))
    ids = torch.tensor([[*target, *[0] * (length - len(target))] for target in targets], device=logits.device)
    real = torch.tensor([[at < len(target) for at in range(length)] for target in targets], device=logits.device)
    at = rows[:, None], torch.arange(length, device=logits.device)
    picked = F.log_softmax(logits.float(), dim=-1)[(*at, ids)]
    likeliest = logits.argmax(-1)[at] == ids
    return (picked * real).sum(-1), (likeliest | ~real).all(-1)


def _parts(rows: Sequence[Row], length: int, budget: Budget) -> Iterator[Sequence[Row]]:
    """Split rows, which are sorted from longest to shortest, so that logits and caches of each part fit the budget."""
    start = 0
    while start < len(rows):
        longest = len(rows[start][1])
        most = max(1, min(budget.cache // (length + longest), budget.tokens // (_LOGITS_COST * longest)))
        yield rows[start : start + most]
        start += most


def _by_length(row: Row) -> tuple[int, Row]:
    return -len(row[1]), row
