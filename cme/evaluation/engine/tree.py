"""Improves a plan whose prompts share passages, so that each passage is read once per batch.

The result is a tree: the common prefix of all prompts, below it the passages, below these the prompts, and below these their
continuations. Prompts share tokens, not text: a passage is the longest beginning that the tokens of its prompts have in common.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain, pairwise

from cme.evaluation.engine.passes import passages, passes, width
from cme.evaluation.engine.plan import Budget, Plan, Prompt, Tokens, by_length, split

__all__ = ["cost", "groups", "tree_plan"]

Group = tuple[Prompt, ...]
"""Prompts that share a passage, sorted from longest to shortest."""

_WORTH = 0.9
"""A plan with passages replaces the plan without them if it costs at most this share."""

_SHARE = 0.1
"""Prompts share a passage if that saves at least this share of their tokens after the common prefix."""

_LEAST = 16
"""Minimum number of tokens that a passage saves."""

_COPY = 1 / 32
"""Cost of a cached position in tokens, for copying it into each row and attending to it.

SmolLM2-135M takes 2.5 ms for a token with one thread in float32, and between 0.04 and 0.07 ms for a cached position.
"""

_PASS = 1 / 16
"""Cost of a forward pass, as a share of the budget's tokens. A CPU takes as long as for 16 of 512 tokens, a GPU for more."""

_CHECKED = 3
"""Number of prompts that the self-check computes without the engine for a new kind of batch."""


@dataclass
class _Node:
    """A node of the tree of all prompts, and the best passages at or below it.

    Attributes:
        depth: number of tokens that the prompts below the node share.
        start: index of the first prompt below the node.
        gain: number of tokens that the best passages save.
        spans: the best passages: first prompt, end of the prompts, and number of tokens of each.
    """

    depth: int
    start: int
    gain: float = 0
    spans: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, below: "_Node") -> None:
        """Add the best passages of a node below."""
        self.gain += below.gain
        self.spans.extend(below.spans)


@dataclass(frozen=True)
class _Limits:
    """Limits of a batch with passages.

    Attributes:
        cache: maximum number of cached positions of passages and prompts.
        rows: maximum number of prompts. None means no limit.
        room: number of positions for new tokens per prompt.
    """

    cache: int
    rows: int | None
    room: int

    @classmethod
    def of(cls, budget: Budget, new_tokens: int | None, *, single: bool) -> "_Limits":
        if new_tokens is None:
            # Continuations of several tokens are computed while the prompts are cached, and need a cache of their own.
            return cls(budget.cache if single else budget.cache // 2, None, 0)
        return cls(budget.cache, budget.rows, new_tokens)

    def divided(self, group: Group) -> list[Group]:
        """Divide a group into parts that fit a batch. There are none if not even two prompts fit."""
        passage = group[0].shared
        most = (self.cache - passage) // (len(group[0].tokens) + self.room)
        most = min(most, self.rows or most, len(group))
        if most < 2:
            return []
        count = -(-len(group) // most)
        size = -(-len(group) // count)
        parts = [group[start : start + size] for start in range(0, len(group), size)]
        return [part for part in parts if len(part) > 1]

    def filled(self, parts: Sequence[Group]) -> list[Group]:
        """Combine parts to batches, the longest prompts first."""
        batches: list[list[Prompt]] = []
        for part in sorted(parts, key=_order):
            if batches and self._fit([*batches[-1], *part]):
                batches[-1].extend(part)
            else:
                batches.append([*part])
        return [tuple(by_length(batch)) for batch in batches]

    def _fit(self, batch: Sequence[Prompt]) -> bool:
        shared = {prompt.tokens[: prompt.shared] for prompt in batch if prompt.shared}
        longest = max(map(len, shared), default=0)
        positions = len(shared) * longest + len(batch) * (width(batch) + self.room)
        return positions <= self.cache and (self.rows is None or len(batch) <= self.rows)


def tree_plan(plan: Plan, budget: Budget, new_tokens: int | None = None) -> Plan | None:
    """Return a plan for the same prompts in which shared passages are read once.

    Args:
        plan: the plan without passages.
        budget: limits for each batch.
        new_tokens: maximum number of new tokens per text. None means that continuations are scored.

    Returns:
        The plan, or None if it would not cost clearly less.
    """
    prompts = list(chain(*plan.batches))
    before = len(plan.prefix)
    limits = _Limits.of(budget, new_tokens, single=all(prompt.single for prompt in prompts))
    parts = list(chain(*(limits.divided(group) for group in groups(prompts, before))))
    if not parts:
        return None
    sharing = {prompt.continuations for prompt in chain(*parts)}
    alone = by_length([prompt for prompt in prompts if prompt.continuations not in sharing])
    if new_tokens is None:
        batches = [*limits.filled(parts), *split(alone, before, budget.tokens)]
    else:
        # Texts are decoded together, whether they share a passage or not.
        batches = limits.filled([*parts, *((prompt,) for prompt in alone)])
    tree = Plan(plan.prefix, tuple(sorted(batches, key=_order)))
    checks = _CHECKED * max(len(prompt.tokens) for prompt in prompts)
    worth = cost(tree, budget, new_tokens) + checks <= _WORTH * cost(plan, budget, new_tokens)
    return tree if worth else None


def groups(prompts: Sequence[Prompt], before: int) -> list[Group]:
    """Choose the groups of prompts that share a passage such that as few tokens as possible are computed.

    Args:
        prompts: the prompts of a plan.
        before: number of tokens that all prompts share.

    Returns:
        Disjoint groups of at least two prompts. `Prompt.shared` of each prompt is the length of its group's passage, which is
        shorter than every prompt of the group.
    """
    ordered = sorted(prompts, key=lambda prompt: (prompt.tokens, prompt.continuations))
    common = [_common(one.tokens, other.tokens, before) for one, other in pairwise(ordered)]
    tokens = [0, *accumulate(len(prompt.tokens) - before for prompt in ordered)]
    # Sorted prompts below a node of their tree are adjacent, so that a stack holds the path from the root to the last prompt.
    path: list[_Node] = []
    best = _Node(0, 0)
    for end in range(1, len(ordered) + 1):
        depth = common[end - 1] if end < len(ordered) else -1
        best = _Node(depth, end - 1)
        while path and path[-1].depth > depth:
            node = path.pop()
            node.add(best)
            own = _gain(end - node.start, node.depth - before, tokens[end] - tokens[node.start])
            if own > node.gain:
                node.gain, node.spans = own, [(node.start, end, node.depth)]
            best = replace(node, depth=depth)
        if path and path[-1].depth == depth:
            path[-1].add(best)
        else:
            path.append(best)
    return [
        tuple(by_length([replace(prompt, shared=depth) for prompt in ordered[start:end]]))
        for start, end, depth in best.spans
    ]


def cost(plan: Plan, budget: Budget, new_tokens: int | None = None) -> float:
    """Estimate the cost of a plan in tokens: positions, forward passes and cached positions.

    Args:
        plan: the plan.
        budget: limits for each batch.
        new_tokens: maximum number of new tokens per text. None means that continuations are scored.
    """
    return sum(_batch_cost(batch, len(plan.prefix), budget, new_tokens) for batch in plan.batches)


def _batch_cost(batch: Sequence[Prompt], before: int, budget: Budget, new_tokens: int | None) -> float:
    shared = [len(passage) for passage in passages(batch)]
    reading = [
        *_passes([len(prompt.tokens) - before for prompt in batch if not prompt.shared], before, budget),
        *_passes([length - before for length in shared], before, budget),
        *_passes(
            [len(prompt.tokens) - prompt.shared for prompt in batch if prompt.shared], max(shared, default=0), budget
        ),
    ]
    # Texts need a pass per token, and continuations of several tokens need one after each pass over prompts.
    more = new_tokens or (0 if all(prompt.single for prompt in batch) else len(reading))
    return sum(reading) + _PASS * budget.tokens * (len(reading) + more)


def _passes(rows: Sequence[int], cached: int, budget: Budget) -> Iterator[float]:
    """Yield the cost of the positions of each pass. Each row continues this number of cached positions."""
    for part in passes(rows, budget):
        yield len(part) * (rows[part[0]] + _COPY * cached)


def _gain(prompts: int, shared: int, tokens: int) -> float:
    """Return the number of tokens that a group saves, or 0 if it saves too little.

    Args:
        prompts: number of prompts of the group.
        shared: length of the passage.
        tokens: number of tokens of the prompts.
    """
    saved = shared * (prompts - 1)
    return max(0.0, saved - _COPY * shared * prompts) if saved >= max(_LEAST, _SHARE * tokens) else 0.0


def _common(one: Tokens, other: Tokens, start: int) -> int:
    """Return the number of tokens that two prompts share, from ``start`` on and less than the length of either."""
    most = min(len(one), len(other)) - 1
    while start < most and one[start] == other[start]:
        start += 1
    return start


def _order(batch: Sequence[Prompt]) -> tuple[int, Tokens, bool]:
    """Sort from longest to shortest prompts, independent of the order of requests."""
    return -len(batch[0].tokens), batch[0].tokens, batch[0].shared > 0
