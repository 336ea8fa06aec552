import random

import pytest

from cme.errors import CMEError
from cme.evaluation.engine.plan import Budget, Prompt, choice_plan, common_prefix, text_plan

BUDGET = Budget(tokens=20, cache=100, rows=3)


def prompts(plan):
    return [prompt for batch in plan.batches for prompt in batch]


def test_a_prompt_is_read_once_whatever_is_asked_about_it():
    plan = choice_plan([([1, 2], [3]), ([7, 8, 9], [3]), ([1, 2], [4, 5]), ([1, 2], [3])], 100, BUDGET)
    assert prompts(plan) == [
        Prompt((7, 8, 9), ((1, (3,)),)),
        Prompt((1, 2), ((0, (3,)), (2, (4, 5)), (3, (3,)))),
    ]


@pytest.mark.parametrize(
    ("continuation", "left"),
    [([9], (2, 3, 4, 5)), ([9, 9], (3, 4, 5)), ([9, 9, 9, 9], (5,))],
)
def test_too_long_prompts_keep_their_end_so_that_all_but_the_last_token_fit(continuation, left):
    (prompt,) = prompts(choice_plan([([1, 2, 3, 4, 5], continuation)], 4, BUDGET))
    assert prompt.tokens == left and len(left) + len(continuation) == 4 + 1


@pytest.mark.parametrize("request_", [([], [1]), ([1], []), ([1], [1] * 5)])
def test_what_the_model_cannot_read_is_refused(request_):
    with pytest.raises(CMEError, match="Both need at least one token"):
        choice_plan([request_], 4, BUDGET)


@pytest.mark.parametrize(
    ("rows", "prefix"),
    [
        ([(1, 2, 3), (1, 2, 4), (1, 2, 5, 6)], (1, 2)),
        ([(1, 2), (1, 2, 3)], (1,)),
        ([(1,), (1, 2)], ()),
        ([(1, 2, 3), (2, 3, 4)], ()),
        ([(1, 2, 3)], ()),
        ([(1, *range(50, 90)), (1, *range(60, 99))], ()),
    ],
    ids=["common", "one token remains", "nothing remains", "none", "one prompt", "too short to pay"],
)
def test_common_prefix(rows, prefix):
    assert common_prefix(rows) == prefix


def test_batches_keep_to_the_budget_and_lose_nothing():
    draw = random.Random(3)
    requests = [([5] * 4 + [draw.randrange(9) for _ in range(draw.randrange(1, 25))], [1]) for _ in range(60)]
    plan = choice_plan(requests, 100, BUDGET)
    lengths = [[len(prompt.tokens) - len(plan.prefix) for prompt in batch] for batch in plan.batches]
    assert plan.prefix == (5, 5, 5, 5)
    assert all(len(batch) == 1 or len(batch) * max(batch) <= BUDGET.tokens for batch in lengths)
    every = [length for batch in lengths for length in batch]
    assert every == sorted(every, reverse=True)
    assert sorted(index for prompt in prompts(plan) for index, _ in prompt.continuations) == list(range(60))


def test_text_batches_leave_room_for_what_is_generated():
    plan = text_plan([[index] * 10 for index in range(1, 8)], 30, BUDGET)
    assert [len(batch) for batch in plan.batches] == [2, 2, 2, 1]
    assert [len(batch) for batch in text_plan([[index] for index in range(1, 8)], 1, BUDGET).batches] == [3, 3, 1]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_large_model_keeps_less(device):
    small, large = Budget.default(device, 46_080), Budget.default(device, 524_288)
    assert large.cache * 524_288 <= 8 << 30 and large.cache < small.cache
    assert large.tokens == small.tokens


def test_the_plan_does_not_depend_on_the_order_of_the_requests():
    requests = [([index % 7, index], [index % 3]) for index in range(40)]
    there, back = choice_plan(requests, 100, BUDGET), choice_plan(requests[::-1], 100, BUDGET)
    assert [[p.tokens for p in batch] for batch in there.batches] == [[p.tokens for p in b] for b in back.batches]
