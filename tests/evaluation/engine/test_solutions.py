"""Early stop at the end mark of a solution: fewer tokens, and the same answers."""

import pytest

from cme.evaluation.engine.plan import Budget
from cme.evaluation.engine.solutions import ends_early, ends_solution
from cme.suite.metrics import final_number, number_scores
from tests.evaluation.engine.lab import engine, plain, texts, tiny_model
from tests.tiny import tiny_tokenizer

LARGE = Budget(tokens=2000, cache=9000, rows=64)
COUNT, NEW = 8, 60


def context(number):
    return f"Question: {number} eggs and 2 more?\n\nAnswer:"


def solution(number):
    """A solution after which the model goes on with another question and its solution, as untrained bases do."""
    end = "\nQuestion: Who built the mill?\n\nAnswer: 9\n#### 9\n" if number % 2 else "\nThe mill had 9 eggs.\n"
    return f" {number}+2={number + 2}\n#### {number + 2}{end}"


def requests(dataset="gsm8k"):
    made = texts([context(number) for number in range(COUNT)], max_gen_toks=NEW)
    for request in made:
        request.doc = {"dataset": dataset}
    return made


@pytest.fixture(scope="module")
def model():
    """A tiny model that has learned the solutions by heart."""
    import torch

    model, tokenizer = tiny_model(initializer_range=0.02), tiny_tokenizer()
    rows = [tokenizer.encode(context(number) + solution(number)) for number in range(COUNT)]
    width = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
    labels = ids.masked_fill(ids == tokenizer.pad_token_id, -100)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(150):
            model(ids, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return model.eval()


@pytest.mark.parametrize("budget", [LARGE, Budget(tokens=1, cache=1, rows=1)], ids=["large", "one by one"])
def test_the_answers_are_those_of_no_stop_with_fewer_tokens(model, budget):
    stopped, whole = engine(model, budget=budget), engine(model, budget=budget, early_stop=False)
    short, long = stopped.generate_until(requests()), whole.generate_until(requests())
    assert stopped.used == whole.used == "prefix"
    assert long == plain(model).generate_until(requests())
    for number, (one, other) in enumerate(zip(short, long, strict=True)):
        assert other.startswith(one) and len(one) < len(other)
        assert final_number(one) == final_number(other)
        gold = (str(number + 2),)
        assert number_scores(one, gold) == number_scores(other, gold) == dict.fromkeys(number_scores("", gold), 1.0)
    assert stopped.written == sum(len(tiny_tokenizer().encode(text)) for text in short)
    assert whole.written > 1.5 * stopped.written


def test_only_solutions_end_early(model):
    lm = engine(model, budget=LARGE)
    assert lm.generate_until(requests("nq_open")) == plain(model).generate_until(requests("nq_open"))
    mixed = [request for pair in zip(requests(), requests("nq_open"), strict=True) for request in pair]
    made = engine(model, budget=LARGE).generate_until(mixed)
    assert made[1::2] == lm.generate_until(requests("nq_open"))
    assert all(len(one) < len(other) for one, other in zip(made[::2], made[1::2], strict=True))


def test_requests_of_other_programs_never_end_early():
    request = texts(["Question:"])[0]
    assert not ends_early(request)
    for doc in (None, {}, {"dataset": "unknown"}, {"dataset": "squad_v2"}, {"dataset": "aqua_rat"}, "gsm8k"):
        request.doc = doc
        assert not ends_early(request)
    for name in ("gsm8k", "svamp"):
        request.doc = {"dataset": name}
        assert ends_early(request)


def test_the_text_ends_with_the_first_token_that_completes_it():
    tokenizer = tiny_tokenizer()
    test, tokens = ends_solution(tokenizer.decode), tokenizer.encode("5+2=7\n#### 7\nQuestion: Who")
    ended = [test(tokens[:length]) for length in range(1, len(tokens) + 1)]
    first = ended.index(True)
    assert tokenizer.decode(tokens[: first + 1]) == "5+2=7\n#### 7\n"
