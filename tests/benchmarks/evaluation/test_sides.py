"""The requests of both sides, and the counts of their computation."""

import pytest
from lm_eval.models.huggingface import HFLM

from benchmarks.evaluation.opening import open_all
from benchmarks.evaluation.stock import StockLM
from benchmarks.evaluation.timing import ENGINE, SIDES, STOCK, answer, both
from cme.evaluation.engine.plain import PlainLM
from cme.evaluation.task import load
from tests.benchmarks.evaluation.conftest import DATASETS, part, settings
from tests.evaluation.engine.lab import TIED, adapted_model, tiny_model
from tests.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def opened(tiny_base):
    return open_all(settings(tiny_base, rows=6))


@pytest.fixture
def passes(opened):
    """Number of positions of every forward pass, recorded by a hook."""
    seen = []
    hook = opened.model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append((args[0] if args else kwargs["input_ids"]).numel()), with_kwargs=True
    )
    yield seen
    hook.remove()


def test_the_requests_are_those_of_cme_eval(opened):
    assert sorted(one.dataset for one in opened.parts) == sorted(DATASETS)
    for one in opened.parts:
        docs = load(cme_dataset=one.dataset, cme_source="mini", cme_tier="smoke")["eval"].to_list()[:6]
        assert list(one.ids) == [doc["id"] for doc in docs]
        requests = [request.args for request in one.requests]
        if one.kind == "choice":
            assert requests == [(doc["prompt"], option) for doc in docs for option in doc["continuations"]]
        else:
            assert [context for context, _ in requests] == [doc["prompt"] for doc in docs]
        assert len(one.first(2).ids) == 2 and {r.doc["id"] for r in one.first(2).requests} == set(one.ids[:2])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_counts_are_what_the_model_saw(opened, passes, side, batch_size):
    lm = opened.side(side)
    for one in opened.parts:
        passes.clear()
        answered = answer(lm, one, batch_size)
        if side == ENGINE and one is opened.parts[0]:
            # At the start two tokens measure how large a cache of keys and values is. They answer nothing and are not counted.
            passes.remove(2)
        assert (answered.counts.forwards, answered.counts.positions) == (len(passes), sum(passes))
        assert 0 < answered.counts.tokens <= answered.counts.positions
        assert len(answered.answers) == len(one.requests) and answered.seconds > 0


def test_lm_eval_is_stock(opened):
    lm = opened.side(STOCK)
    assert isinstance(lm, HFLM) and not isinstance(lm, PlainLM) and lm.logits_cache is True


def test_lm_evals_tokens_without_padding():
    tokenizer = tiny_tokenizer()
    one = part({"a": ("The answer is", [" A", " B", " the river by"]), "b": ("The mill by the town", [" A"])})
    lengths = [[len(lm_tokens(tokenizer, text)) for text in r.args] for r in one.requests]
    answered = answer(StockLM(tiny_model(), tokenizer, batch_size=4), one, 4)
    # " A" and " B" differ in their last token only, so one pass serves both.
    assert lengths[0] == lengths[1]
    expected = sum(context + option - 1 for context, option in (lengths[0], lengths[2], lengths[3]))
    longest = max(context + option - 1 for context, option in lengths)
    assert (answered.counts.tokens, answered.counts.positions, answered.counts.forwards) == (expected, 3 * longest, 1)


def lm_tokens(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


@pytest.mark.long
def test_an_adapter_is_on_both_sides(tiny_base, opened, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model

    from cme.models.load import load_model

    model = get_peft_model(load_model(tiny_base), LoraConfig(r=2, target_modules=["up_proj"], task_type="CAUSAL_LM"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    model.save_pretrained(tmp_path / "adapter")
    adapted = open_all(settings(tiny_base, rows=6, datasets=("qqp",), adapter=str(tmp_path / "adapter")))
    assert adapted.surroundings == opened.surroundings
    (one,) = adapted.parts
    answered = both({side: adapted.side(side) for side in SIDES}, one, 4, turn=0)
    base = answer(opened.side(STOCK), one, 4).answers
    values = {side: [item[0] for item in answered[side].answers] for side in SIDES}
    assert values[STOCK] == pytest.approx(values[ENGINE], abs=1e-4)
    assert values[STOCK] != pytest.approx([item[0] for item in base], abs=1e-2)


@TIED
def test_lm_eval_takes_an_adapter_on_a_tied_head():
    one = part({"a": ("The answer is", [" A", " B"])})
    assert answer(StockLM(adapted_model("lora on lm_head"), tiny_tokenizer(), batch_size=1), one, 1).answers


@pytest.mark.parametrize(("turn", "order"), [(0, [STOCK, ENGINE]), (1, [ENGINE, STOCK]), (2, [STOCK, ENGINE])])
def test_the_order_alternates(monkeypatch, turn, order):
    from benchmarks.evaluation import timing

    seen = []
    monkeypatch.setattr(timing, "answer", lambda lm, part, size: seen.append(lm))
    both({side: side for side in SIDES}, part({}), 1, turn)
    assert seen == order
