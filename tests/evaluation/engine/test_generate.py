import pytest

from cme.evaluation.engine.plan import Budget
from tests.evaluation.engine.lab import (
    ADAPTERS,
    SMALL,
    TIED,
    RecordingCacheHook,
    adapted_model,
    engine,
    plain,
    texts,
    tiny_model,
)
from tests.evaluation.engine.test_choice import SHOTS, rows
from tests.tiny import tiny_tokenizer

ONE_BY_ONE = Budget(tokens=1, cache=1, rows=1)
LARGE = Budget(tokens=2000, cache=9000, rows=64)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def ending_model(often):
    """A model that ends its texts early and at different lengths, because many tokens end a text."""
    model = tiny_model(seed=2)
    model.generation_config.eos_token_id = [model.config.eos_token_id, *range(20, 20 + often)]
    return model


def assert_same(model, requests, budget=SMALL, **attributes):
    expected = plain(model, **attributes).generate_until(requests)
    lm = engine(model, budget=budget, **attributes)
    assert lm.generate_until(requests) == expected
    assert lm.used == "prefix", lm.used
    return expected


@pytest.mark.parametrize("budget", [SMALL, LARGE, ONE_BY_ONE], ids=["small", "large", "one by one"])
@pytest.mark.parametrize("start", ["", SHOTS], ids=["", "common prefix"])
def test_texts_are_lm_evals(model, budget, start):
    assert len(set(assert_same(model, texts(rows(start=start)), budget))) > 1


@pytest.mark.parametrize("often", [40, 120, 300])
def test_texts_end_where_the_model_ends_them(often):
    model = ending_model(often)
    generated = assert_same(model, texts(rows(count=12), max_gen_toks=20), LARGE)
    assert len({len(tiny_tokenizer().encode(text)) for text in generated}) > 1, "all texts are equally long"


def test_rows_that_have_ended_are_not_computed_on():
    model, requests = ending_model(120), texts(rows(count=12), max_gen_toks=20)
    stock, lm = plain(model, batch_size=12), engine(model, budget=LARGE)
    stock.generate_until(requests)
    lm.generate_until(requests)
    before = lm.work.positions
    lm.generate_until(requests)
    assert lm.work.positions - before < stock.work.positions


def test_stop_strings(model):
    """Stop strings inside a text, across tokens, at its beginning, and absent from it."""
    contexts = rows(count=6)
    whole = plain(model).generate_until(texts(contexts, max_gen_toks=20))
    stops = [whole[0][3:5], whole[1][:1], "never said"]
    generated = assert_same(model, texts(contexts, until=stops, max_gen_toks=20))
    assert generated[1] == "" and generated[0] == whole[0].split(stops[1])[0].split(stops[0])[0]
    one = assert_same(model, texts(contexts, until=whole[2][4:6], max_gen_toks=20))
    assert one[2] == whole[2][: whole[2].index(whole[2][4:6])]


def test_stop_strings_save_steps(model):
    contexts = rows(count=6)
    lm, work = engine(model), []
    stop = [text[:1] for text in lm.generate_until(texts(contexts, max_gen_toks=20))]
    for until in ([], stop):
        before = lm.work.positions
        lm.generate_until(texts(contexts, until=until, max_gen_toks=20))
        work.append(lm.work.positions - before)
    assert work[1] < work[0] - 60


@pytest.mark.parametrize("length", [30, 64])
def test_too_long_prompts_keep_their_end(model, length):
    assert_same(model, texts([row * 9 for row in rows(count=3)] + rows(count=2)), _max_length=length)


@pytest.mark.parametrize("adds_bos", [False, True])
def test_tokens_are_lm_evals(model, adds_bos):
    contexts = ["<|im_start|>user\nHow?<|im_end|>\n", *rows(count=3)]
    tokenizer = tiny_tokenizer(adds_bos=adds_bos)
    lm = engine(model, tokenizer)
    assert lm.generate_until(texts(contexts)) == plain(model, tokenizer).generate_until(texts(contexts))


def test_requests_of_several_settings_come_back_in_order(model):
    long, short = texts(rows(count=4)), texts(rows(count=4), max_gen_toks=3)
    requests, recorder = [request for pair in zip(long, short, strict=True) for request in pair], RecordingCacheHook()
    generated = assert_same(model, requests)
    engine(model, cache_hook=recorder).generate_until(requests)
    expected = [(request.args, text) for request, text in zip(requests, generated, strict=True)]
    assert sorted(map(repr, recorder.answers)) == sorted(map(repr, expected))


def test_what_is_not_plain_greedy_is_left_to_lm_eval():
    model = tiny_model()
    requests = texts(rows(count=3), num_beams=2)
    lm = engine(model)
    assert lm.generate_until(requests) == plain(model, batch_size=3).generate_until(requests)
    assert lm.used == "hf: the task sets num_beams"


@TIED
@pytest.mark.parametrize("kind", ADAPTERS)
def test_adapters(kind):
    adapted, requests = adapted_model(kind), texts(rows(start=SHOTS))
    generated = assert_same(adapted, requests)
    with adapted.disable_adapter():
        assert generated != plain(adapted).generate_until(requests)
