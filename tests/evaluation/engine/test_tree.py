"""The plan in which prompts share passages: the choice of passages, the limits of batches, and the cost that decides."""

import random
import sys
from itertools import chain

import pytest

from cme.evaluation.engine.plan import Budget, Plan, Prompt, choice_plan, text_plan
from cme.evaluation.engine.tree import cost, groups, tree_plan

BUDGET = Budget(tokens=200, cache=4000, rows=9)


def prompts(*rows):
    return [Prompt(tuple(row), ((index, (1,)),)) for index, row in enumerate(rows)]


def shared(*rows, before=0):
    """Return the requests of each group and the length of its passage."""
    return sorted(
        (sorted(p.continuations[0][0] for p in group), group[0].shared) for group in groups(prompts(*rows), before)
    )


def passage(number, length=40):
    return [number * 1000 + place for place in range(length)]


def clusters(passages, questions, *, length=40, ending=5, start=(), seed=0):
    """Return rows in random order: a common start, a passage, and an ending of its own."""
    draw = random.Random(seed)
    rows = [
        [
            *start,
            *passage(1 + number, length),
            *(draw.randrange(500, 900) for _ in range(draw.randrange(1, ending + 1))),
        ]
        for number in range(passages)
        for _ in range(questions)
    ]
    draw.shuffle(rows)
    return rows


def every(plan):
    return list(chain(*plan.batches))


def test_a_passage_is_the_longest_beginning_of_its_prompts():
    one, other = passage(1), passage(2)
    rows = [[7, *one, 3, 1], [7, *other, 3], [7, *one, 3, 2], [7, *one, 3, 2, 5], [7, *other, 4], [7, 9, 9]]
    assert shared(*rows, before=1) == [([0, 2, 3], 42), ([1, 4], 41)]


def test_a_passage_is_shorter_than_every_prompt_that_shares_it():
    assert shared([*passage(1), 5], [*passage(1), 5, 6], [*passage(1), 5]) == [([0, 1, 2], 40)]


def test_short_or_rare_beginnings_are_not_passages():
    assert shared([1, 2, *passage(1)], [1, 2, *passage(2)]) == []
    assert shared([*passage(1, 12), 1], [*passage(1, 12), 2]) == [], "fewer than 16 tokens are saved"
    long = [[*passage(1, 20), *passage(2 + number, 300)] for number in range(2)]
    assert shared(*long) == [], "less than a tenth is saved"


def test_the_better_of_two_levels_is_taken():
    """Two questions share more than the article, but the article has more questions."""
    article, question = passage(1, 100), passage(2, 20)
    pair = [[*article, *question, 1], [*article, *question, 2]]
    assert shared(*pair) == [([0, 1], 120)]
    others = [[*article, *passage(3 + number, 30)] for number in range(4)]
    assert shared(*pair, *others) == [([0, 1, 2, 3, 4, 5], 100)]
    many = [[*passage(5, 20), *passage(6 + number, 60), question] for number in range(2) for question in range(6)]
    assert shared(*many) == [([0, 1, 2, 3, 4, 5], 80), ([6, 7, 8, 9, 10, 11], 80)]


def best_saving(rows):
    """Return the most tokens that disjoint groups can save, by trying every partition."""
    if not rows:
        return 0
    first, rest = rows[0], rows[1:]
    best = best_saving(rest)
    for chosen in range(1, 2 ** len(rest)):
        group = [first, *(row for at, row in enumerate(rest) if chosen >> at & 1)]
        length = min(map(len, group)) - 1
        while len({tuple(row[:length]) for row in group}) > 1:
            length -= 1
        saved = length * (len(group) - 1)
        if saved >= max(16, 0.1 * sum(map(len, group))):
            left = [row for at, row in enumerate(rest) if not chosen >> at & 1]
            best = max(best, saved - length * len(group) / 32 + best_saving(left))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_no_other_choice_saves_more(seed):
    draw = random.Random(seed)
    rows = [[draw.randrange(2) for part in range(3) for _ in [0]] for _ in range(7)]
    # Each symbol stands for a run of tokens, so that prompts share beginnings of several lengths.
    rows = [
        [token for place, bit in enumerate(row) for token in range(100 * place + 50 * bit, 100 * place + 50 * bit + 15)]
        for row in rows
    ]
    rows = [[*row, 9000 + number] for number, row in enumerate(rows)]
    saved = 0.0
    for group in groups(prompts(*rows), 0):
        saved += group[0].shared * (len(group) - 1) - group[0].shared * len(group) / 32
    assert saved == pytest.approx(best_saving(rows))


def test_prompts_that_continue_each_other_need_no_recursion():
    rows = [list(range(length)) for length in range(1, 3 * sys.getrecursionlimit(), 2)]
    together = groups(prompts(*rows), 0)
    assert sum(map(len, together)) <= len(rows)
    assert all(group[0].shared < min(len(prompt.tokens) for prompt in group) for group in together)


@pytest.mark.parametrize("new_tokens", [None, 12])
@pytest.mark.parametrize("start", [(), tuple(range(400, 430))])
def test_a_tree_loses_nothing_and_keeps_to_the_limits(new_tokens, start):
    rows = [
        *clusters(8, 6, start=start),
        *clusters(1, 40, seed=1, start=start),
        *([*start, *passage(50 + n)] for n in range(9)),
    ]
    if new_tokens is None:
        plan = choice_plan([(row, [1, 2]) for row in rows], 1000, BUDGET)
    else:
        plan = text_plan(rows, new_tokens, BUDGET)
    tree = tree_plan(plan, BUDGET, new_tokens)
    assert tree is not None and tree.prefix == plan.prefix == start
    assert sorted(p.continuations for p in every(tree)) == sorted(p.continuations for p in every(plan))
    assert [len(batch[0].tokens) for batch in tree.batches] == sorted(
        (len(b[0].tokens) for b in tree.batches), reverse=True
    )
    for batch in tree.batches:
        lengths = [len(prompt.tokens) for prompt in batch]
        assert lengths == sorted(lengths, reverse=True)
        sharing = [prompt for prompt in batch if prompt.shared]
        heads = {prompt.tokens[: prompt.shared] for prompt in sharing}
        assert all(sum(p.tokens[: p.shared] == head for p in sharing) > 1 for head in heads), "a passage of one prompt"
        assert all(len(start) < prompt.shared < len(prompt.tokens) for prompt in sharing)
        longest = max(map(len, heads), default=0)
        if new_tokens is not None:
            assert len(batch) <= BUDGET.rows
            assert len(heads) * longest + len(batch) * (max(lengths) + new_tokens) <= BUDGET.cache
        elif heads:
            assert len(sharing) == len(batch)
            assert len(heads) * longest + len(batch) * max(lengths) <= BUDGET.cache / 2
    assert sum(1 for prompt in every(tree) if prompt.shared) >= 80


def test_prompts_without_a_passage_keep_their_batches():
    rows = [*clusters(6, 6), *(passage(50 + number, 30 + number) for number in range(20))]
    plan = choice_plan([(row, [1]) for row in rows], 1000, BUDGET)
    tree = tree_plan(plan, BUDGET)
    alone = choice_plan([(row, [1]) for row in rows[36:]], 1000, BUDGET)
    tokens = [[prompt.tokens for prompt in batch] for batch in tree.batches if not batch[0].shared]
    assert tokens == [[prompt.tokens for prompt in batch] for batch in alone.batches]


def test_a_passage_of_many_prompts_is_divided():
    rows = clusters(2, 200, ending=30)
    tree = tree_plan(choice_plan([(row, [1]) for row in rows], 1000, BUDGET), BUDGET)
    sizes = [len(batch) for batch in tree.batches]
    assert len(sizes) > 4 and max(sizes) - min(sizes) <= 1 + len(sizes)


def test_equal_texts_are_generated_each():
    rows = clusters(4, 3, ending=1)
    plan = text_plan([row for row in rows for _ in range(2)], 5, BUDGET)
    tree = tree_plan(plan, BUDGET, 5)
    assert sorted(index for p in every(tree) for index, _ in p.continuations) == list(range(24))


@pytest.mark.parametrize("new_tokens", [None, 12])
def test_the_tree_does_not_depend_on_the_order_of_the_requests(new_tokens):
    rows = sorted({tuple(row) for row in clusters(9, 5)})

    def tokens(rows):
        if new_tokens is None:
            plan = choice_plan([(row, [1, 2]) for row in rows], 1000, BUDGET)
        else:
            plan = text_plan(rows, new_tokens, BUDGET)
        return [[(p.tokens, p.shared) for p in batch] for batch in tree_plan(plan, BUDGET, new_tokens).batches]

    assert tokens(rows) == tokens(rows[::-1])


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[1, 2, 3]],
        [passage(number) for number in range(1, 30)],
        clusters(2, 2),
        [*clusters(2, 3), *(passage(50 + number, 100) for number in range(40))],
    ],
    ids=["nothing", "one prompt", "no passages", "the self-check costs more", "less than a tenth"],
)
def test_without_a_clear_saving_the_plan_stays(rows):
    plan = choice_plan([(row, [1]) for row in rows], 1000, BUDGET)
    assert tree_plan(plan, BUDGET) is None


def test_a_cache_for_less_than_two_prompts_cannot_share():
    small = Budget(tokens=200, cache=120, rows=9)
    plan = choice_plan([(row, [1]) for row in clusters(10, 6)], 1000, small)
    assert tree_plan(plan, small) is None


def test_texts_of_few_passages_do_not_need_more_batches_than_they_save():
    """Each batch of texts takes a pass per new token, which costs more than short passages save."""
    rows = clusters(6, 3, length=30, ending=3)
    large = Budget(tokens=8192, cache=65_536, rows=256)
    plan = text_plan(rows, 400, large)
    tree = tree_plan(plan, large, 400)
    assert tree is None


def test_the_cost_counts_positions_passes_and_cached_positions():
    plan = Plan((), (tuple(prompts([1] * 10, [2] * 8)),))
    assert cost(plan, Budget(160, 100, 9)) == 2 * 10 + 10, "one pass of two rows"
    assert cost(plan, Budget(160, 100, 9), new_tokens=3) == 2 * 10 + 10 + 3 * 10, "and one for each token"
    with_prefix = Plan((1,) * 6, plan.batches)
    assert cost(with_prefix, Budget(160, 100, 9)) == 2 * (4 + 6 / 32) + 10
    row = tuple(range(64))
    pair = tuple(Prompt((*row, end), ((end, (1,)),), shared=64) for end in (70, 71))
    assert cost(Plan((), (pair,)), Budget(160, 999, 9)) == 64 + 10 + 2 * (1 + 64 / 32) + 10
