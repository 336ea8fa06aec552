import pytest

from cme.evaluation.engine.plan import Budget
from tests.evaluation.engine.lab import (
    ADAPTERS,
    SMALL,
    TIED,
    RecordingCacheHook,
    adapted_model,
    choices,
    engine,
    plain,
    tiny_model,
)
from tests.tiny import tiny_tokenizer

LABELS = (" entailment", " neutral", " contradiction", " not duplicate at all")
SHOTS = "Passage: The old mill by the river.\nQuestion: Who built it?\n\nAnswer: A\n\n"


def rows(*, start="", count=9):
    """Prompts of many lengths."""
    parts = ("the passage stands", "rain fell all night", "bread")
    texts = [" ".join(parts[: index % 3 + 1] * (index % 4 + 1)) for index in range(count)]
    return [f"{start}{text} {index}?\n\nAnswer:" for index, text in enumerate(texts)]


CASES = {
    "several lengths": [(row, LABELS) for row in rows()],
    "common prefix": [(row, LABELS) for row in rows(start=SHOTS)],
    "letters": [(row, (" A", " B", " C")) for row in rows(start=SHOTS)],
    "same prompt twice": [(row, LABELS) for row in (rows()[0], *rows()[:3])],
    "one prompt": [(rows()[0], LABELS)],
    "prompt begins another": [("The answer", LABELS), ("The answer to the question", LABELS)],
    "space at the end": [(row + " ", ("A", "neutral answer")) for row in rows()],
    "no context": [("", ("The answer", " B")), (rows()[0], LABELS)],
    "equal but for the last token": [(row, (" A B", " A C", " A", " A B C D")) for row in rows()],
    "too long": [(row * 9, LABELS) for row in rows()] + [(rows()[0], LABELS)],
}


def assert_same(model, requests, tokenizer=None, budget=SMALL, **attributes):
    """Check that the engine's answers equal those of lm-eval, and return the engine."""
    expected = plain(model, tokenizer, **attributes).loglikelihood(requests)
    lm = engine(model, tokenizer, budget, **attributes)
    answers = lm.loglikelihood(requests)
    assert [answer[0] for answer in answers] == pytest.approx([answer[0] for answer in expected], abs=1e-4)
    assert [answer[1] for answer in answers] == [answer[1] for answer in expected]
    assert lm.used == "prefix", lm.used
    return lm


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("budget", [SMALL, Budget(tokens=2000, cache=9000, rows=9)], ids=["small", "large"])
def test_answers_are_lm_evals(case, budget):
    assert_same(tiny_model(), choices(*CASES[case]), budget=budget)


@pytest.mark.parametrize("adds_bos", [False, True])
def test_tokens_are_lm_evals(adds_bos):
    tokenizer = tiny_tokenizer(adds_bos=adds_bos)
    contexts = [(row, LABELS) for row in ("<|im_start|>user\nHow?<|im_end|>\n", *rows(count=4))]
    assert_same(tiny_model(), choices(*contexts), tokenizer)
    assert_same(tiny_model(), choices(*contexts), tokenizer, add_bos_token=not adds_bos)


def test_greedy_continuations_are_recognised():
    """The three most likely tokens are greedy. Continuations with another token at any place are not."""
    import torch

    model, context = tiny_model(), tiny_tokenizer().encode("The answer")
    tokens = model.generate(torch.tensor([context]), max_new_tokens=3, do_sample=False)[0, len(context) :].tolist()
    wrong = (tokens[0] + 1) % model.config.vocab_size
    tails = (tokens, [*tokens[:-1], wrong], [wrong, *tokens[1:]], tokens[:1], [wrong])
    requests = [((None, None), context, tail) for tail in tails]
    assert [best for _, best in engine(model)._loglikelihood_tokens(requests)] == [True, False, False, True, False]


def test_the_same_tokens_split_in_different_places():
    """lm-eval's ``logits_cache`` would compute the second answer at the position of the first one."""
    context, middle, last = [5, 6, 7], 11, 12
    requests = [(("a", "b"), context, [middle, last]), (("a b", "c"), [*context, middle], [last])]
    model = tiny_model()
    stock = plain(model)
    expected = [answer[0] for answer in stock._loglikelihood_tokens(requests)]
    stock.logits_cache = True
    mixed_up = [answer[0] for answer in stock._loglikelihood_tokens(requests)]
    assert [answer[0] for answer in engine(model)._loglikelihood_tokens(requests)] == pytest.approx(expected, abs=1e-4)
    assert abs(mixed_up[1] - expected[1]) > 0.1
    lm = engine(model, obstacle="for this test")
    assert [answer[0] for answer in lm._loglikelihood_tokens(requests)] == pytest.approx(expected, abs=1e-4)
    assert lm.used == "hf: for this test"


@TIED
@pytest.mark.parametrize("kind", ADAPTERS)
def test_adapters(kind):
    adapted, requests = adapted_model(kind), choices(*CASES["common prefix"])
    expected = plain(adapted).loglikelihood(requests)
    with adapted.disable_adapter():
        base = plain(adapted).loglikelihood(requests)
    assert max(abs(mine[0] - other[0]) for mine, other in zip(expected, base, strict=True)) > 0.1
    assert_same(adapted, requests)


@pytest.mark.parametrize("config", ["gpt2", "qwen3", "gpt_neox"])
def test_other_models(config):
    """Models with learned positions, normalised keys, and partly rotated heads."""
    names = {"n_positions": 256, "n_embd": 32, "n_layer": 2, "n_head": 4} if config == "gpt2" else {}
    assert_same(tiny_model(config, **names), choices(*CASES["common prefix"]), _max_length=200)


def test_tokens_are_read_once_and_every_answer_reaches_the_cache_hook():
    model, requests, recorder = tiny_model(), choices(*CASES["common prefix"]), RecordingCacheHook()
    lm = engine(model)
    encoded = [lm._encode_pair(*request.args) for request in requests]
    lm.loglikelihood(requests)
    checked, lm.cache_hook = lm.work.tokens, recorder
    answers = lm.loglikelihood(requests)
    prompts = {tuple(context) for context, _ in encoded}
    prefix = next(at for at, tokens in enumerate(zip(*prompts, strict=False)) if len(set(tokens)) > 1)
    after = {(tuple(context), tuple(tail[:-1])) for context, tail in encoded}
    read_once = sum(map(len, prompts)) - prefix * (len(prompts) - 1) + sum(len(tail) for _, tail in after)
    assert prefix > 20
    assert lm.work.tokens - checked == read_once < sum(len(context) for context, _ in encoded) / 4
    recorded_once = sorted((request.args, answer) for request, answer in zip(requests, answers, strict=True))
    assert sorted(recorder.answers) == recorded_once
