"""Answers with shared passages equal those of plain loops, and each passage is read once per batch."""

import pytest

from cme.errors import CMEError
from cme.evaluation.store import Checks, Store
from tests.evaluation.engine.lab import (
    ADAPTERS,
    SHARING,
    TIED,
    adapted_model,
    by_passage,
    choices,
    engine,
    loop_scores,
    loop_texts,
    plain,
    texts,
    tiny_model,
)
from tests.evaluation.engine.test_choice import LABELS, SHOTS, rows
from tests.evaluation.engine.test_support import pooled, same
from tests.tiny import tiny_tokenizer

OPTIONS = {"letters": (" A", " B", " C"), "words": LABELS}
CONTEXTS = [*by_passage(5, 6), *rows(count=5)]
BEHIND_SHOTS = [*by_passage(5, 6, start=SHOTS), *rows(start=SHOTS, count=5)]


def shares(lm, requests, kind="choice"):
    """Return whether the engine shares passages for these requests."""
    seen = []
    kept = lm._kept
    lm._kept = lambda plan, *more: seen.append(plan) or kept(plan, *more)
    answers = lm.loglikelihood(requests) if kind == "choice" else lm.generate_until(requests)
    lm._kept = kept
    return any(prompt.shared for plan in seen for batch in plan.batches for prompt in batch), answers


def assert_same(model, requests, **attributes):
    """Check choices against a plain loop, and return the engine."""
    expected = loop_scores(model, tiny_tokenizer(), requests)
    greedy = [best for _, best in plain(model, **attributes).loglikelihood(requests)]
    lm = engine(model, budget=SHARING, **attributes)
    shared, answers = shares(lm, requests)
    assert shared and lm.used == "prefix", lm.used
    assert [answer[0] for answer in answers] == pytest.approx(expected, abs=1e-4)
    assert [answer[1] for answer in answers] == greedy
    return lm


def assert_same_texts(model, requests):
    lm = engine(model, budget=SHARING)
    shared, answers = shares(lm, requests, "text")
    assert shared and lm.used == "prefix", lm.used
    assert answers == loop_texts(model, tiny_tokenizer(), requests)
    assert len(set(answers)) > 3


@pytest.mark.parametrize("contexts", [CONTEXTS, BEHIND_SHOTS], ids=["", "common prefix"])
@pytest.mark.parametrize("options", OPTIONS)
def test_choices_are_those_of_a_plain_loop(contexts, options):
    assert_same(tiny_model(), choices(*[(context, OPTIONS[options]) for context in contexts]))


@pytest.mark.parametrize("contexts", [CONTEXTS, BEHIND_SHOTS], ids=["", "common prefix"])
def test_texts_are_those_of_a_plain_loop(contexts):
    assert_same_texts(tiny_model(), texts(contexts))


@pytest.mark.parametrize("config", ["gpt2", "qwen3", "gpt_neox", "opt", "phi", "olmo2", "stablelm"])
def test_other_models(config):
    """Models with learned positions, normalised keys, partly rotated heads, and positions from the mask."""
    changes = {
        "gpt2": {"n_positions": 256, "n_embd": 32, "n_layer": 2, "n_head": 4},
        "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    }.get(config, {})
    model = tiny_model(config, **changes)
    assert_same(model, choices(*[(context, LABELS[:2]) for context in CONTEXTS]), _max_length=240)
    assert_same_texts(model, texts(CONTEXTS, max_gen_toks=6))


@TIED
@pytest.mark.parametrize("kind", ADAPTERS)
def test_adapters(kind):
    assert_same(adapted_model(kind), choices(*[(context, LABELS[:2]) for context in BEHIND_SHOTS]))


def test_each_passage_is_read_once_per_batch():
    """With room for everything in one batch, the tokens computed are the nodes of the tree of all prompts."""
    from cme.evaluation.engine.plan import Budget

    model, tokenizer = tiny_model(), tiny_tokenizer()
    questions = by_passage(5, 6)
    requests = choices(*[(context, (" A", " B")) for context in questions])
    counts = {}
    for sharing in (False, True):
        lm = engine(model, budget=Budget(tokens=500, cache=40_000, rows=64), share_passages=sharing)
        lm.loglikelihood(requests)
        before = lm.work.tokens
        lm.loglikelihood(requests)
        counts[sharing] = lm.work.tokens - before
    prompts = [tokenizer.encode(context) for context in questions]
    assert counts[False] == sum(map(len, prompts))
    passages = [prompts[number::5] for number in range(5)]
    common = [
        next(at for at, tokens in enumerate(zip(*group, strict=False)) if len(set(tokens)) > 1) for group in passages
    ]
    once = sum(common) + sum(
        len(prompt) - shared for group, shared in zip(passages, common, strict=True) for prompt in group
    )
    assert counts[True] == once < counts[False] / 2


@pytest.mark.parametrize("kind", ["choice", "text"])
def test_the_answer_to_a_row_does_not_depend_on_the_other_rows(kind):
    model = tiny_model()
    make = (
        (lambda contexts: texts(contexts)) if kind == "text" else lambda c: choices(*[(one, LABELS[:1]) for one in c])
    )
    whole_shared, whole = shares(engine(model, budget=SHARING), make(CONTEXTS), kind)
    some = CONTEXTS[3::2]
    _, part = shares(engine(model, budget=SHARING), make(some), kind)
    alone = [shares(engine(model, budget=SHARING), make([context]), kind)[1][0] for context in some]
    assert whole_shared
    for answers in (part, alone):
        if kind == "text":
            assert answers == whole[3::2]
        else:
            assert [answer[0] for answer in answers] == pytest.approx([answer[0] for answer in whole[3::2]], abs=1e-4)


def test_texts_of_one_batch_share_passages_or_not():
    lm, plans = engine(tiny_model(), budget=SHARING), []
    kept = lm._kept
    lm._kept = lambda plan, *more: plans.append(plan) or kept(plan, *more)
    lm.generate_until(texts(CONTEXTS))
    kinds = [{prompt.shared > 0 for prompt in batch} for batch in plans[0].batches]
    assert {True, False} in kinds


class KilledError(Exception):
    pass


def evaluate(folder, model, requests, *, batches=None, kind="choice", **attributes):
    """Answer requests with a store on disk. Stop after this number of new batches."""
    checks = Checks(folder, {"model": "m"})
    lm = engine(model, budget=SHARING, **attributes)
    lm.recall(checks.verdicts)
    lm.batch_cache = store = Store(folder / "race", {"model": "m"}, checks=checks, tokens=lambda: lm.work.tokens)
    computed = []
    put = store._put

    def counted(key, answers):
        if batches is not None and len(computed) == batches:
            raise KilledError
        computed.append(key)
        put(key, answers)

    store._put = counted
    lm._tried = lambda work, *args: work(*args)
    answers = lm.loglikelihood(requests) if kind == "choice" else lm.generate_until(requests)
    return answers, computed


@pytest.mark.parametrize("kind", ["choice", "text"])
def test_an_interrupted_evaluation_continues_bitwise_identically(kind, tmp_path):
    model = tiny_model()
    requests = texts(CONTEXTS) if kind == "text" else choices(*[(context, LABELS[:2]) for context in CONTEXTS])
    whole, keys = evaluate(tmp_path / "whole", model, requests, kind=kind)
    assert len(keys) > 4
    done = []
    for _ in range((len(keys) - 1) // 2):
        with pytest.raises(KilledError):
            evaluate(tmp_path / "killed", model, requests, batches=2, kind=kind)
        done.append(2)
    again, rest = evaluate(tmp_path / "killed", model, requests, kind=kind)
    assert again == whole and len(rest) == len(keys) - sum(done)


@pytest.mark.parametrize("kind", ["choice", "text"])
def test_an_evaluation_that_an_earlier_version_interrupted_continues_with_its_batches(kind, tmp_path):
    """The earlier version did not share passages. Its batches are not computed again, and the rest is computed as it would."""
    model = tiny_model()
    requests = texts(CONTEXTS) if kind == "text" else choices(*[(context, LABELS[:2]) for context in CONTEXTS])
    whole, keys = evaluate(tmp_path / "whole", model, requests, kind=kind, share_passages=False)
    with pytest.raises(KilledError):
        evaluate(tmp_path / "killed", model, requests, batches=len(keys) - 2, kind=kind, share_passages=False)
    again, rest = evaluate(tmp_path / "killed", model, requests, kind=kind)
    assert again == whole and len(rest) == 2 and set(rest) <= set(keys)


def test_stored_batches_that_both_plans_have_do_not_change_the_plan(tmp_path):
    """Prompts without a passage have the same batches in both plans, so these do not show which plan an evaluation follows."""
    model = tiny_model()
    longest = ["bread " * 90 + "now?", "rain " * 85 + "now?"]
    requests = choices(*[(context, LABELS[:2]) for context in [*longest, *CONTEXTS]])
    whole, keys = evaluate(tmp_path / "whole", model, requests)
    flat, _ = evaluate(tmp_path / "flat", model, requests, share_passages=False)
    assert whole != flat
    for batches in range(1, len(keys)):
        folder = tmp_path / str(batches)
        with pytest.raises(KilledError):
            evaluate(folder, model, requests, batches=batches)
        assert evaluate(folder, model, requests)[0] == whole


def test_batches_with_passages_are_checked_by_themselves():
    """A router that pools over the positions of a pass gives other answers if the passage is missing from the pass."""
    model = tiny_model()
    lm, kinds = engine(model, budget=SHARING), []
    lm.batch_cache.checked = lambda kind, fault: kinds.append((kind[0], fault))
    lm.loglikelihood(choices(*[(context, LABELS[:2]) for context in CONTEXTS]))
    assert ("choice", None) in kinds and ("choice by passage", None) in kinds
    assert any(name.startswith("choice by passage below") for name, _ in kinds)
    checked = len(kinds)
    lm.loglikelihood(choices(*[(context, LABELS[:2]) for context in CONTEXTS]))
    assert len(kinds) == checked


@pytest.mark.parametrize("kind", ["choice", "text"])
def test_the_self_check_detects_a_router_that_pools_over_the_sequence(kind):
    model = pooled(tiny_model())
    lm = engine(model, budget=SHARING)
    if kind == "text":
        requests = texts(by_passage(5, 6))
        assert lm.generate_until(requests) == loop_texts(model, tiny_tokenizer(), requests)
    else:
        requests = choices(*[(context, (" A",)) for context in by_passage(5, 6)])
        # Its answers depend on the option in the pass, so that only lm-eval's passes are a reference.
        assert same(lm.loglikelihood(requests), plain(model).loglikelihood(requests))
    assert lm.used.startswith("hf: the model's output depends on batching or caching")


def test_nan_behind_a_passage_is_an_error():
    import torch

    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    with pytest.raises(CMEError, match="not a finite number"):
        engine(model, budget=SHARING).loglikelihood(choices(*[(context, LABELS) for context in by_passage(5, 6)]))
