"""If the engine does not support a model, lm-eval's own code answers, and the result gives the reason."""

import pytest

from tests.evaluation.engine.lab import choices, engine, plain, texts, tiny_model
from tests.evaluation.engine.test_choice import CASES, LABELS, SHOTS, rows

REQUESTS = choices(*[(row, LABELS[:2]) for row in rows(start=SHOTS, count=6)])


def same(answers, others):
    return [answer[0] for answer in answers] == pytest.approx([answer[0] for answer in others], abs=1e-4)


@pytest.mark.parametrize(
    ("config", "changes", "why"),
    [
        ("llama", {"use_cache": False}, "disables the cache"),
        ("mamba", {"state_size": 4}, "a recurrent state|cannot be shared|does not accept"),
        ("bloom", {"n_head": 4}, "does not accept position_ids"),
    ],
)
def test_models_without_a_cache_that_can_be_shared(config, changes, why):
    import re

    model = tiny_model(config, **changes)
    lm = engine(model, _max_length=200)
    assert re.search(why, lm.obstacle)
    assert same(lm.loglikelihood(REQUESTS), plain(model, _max_length=200).loglikelihood(REQUESTS))
    assert lm.used == f"hf: {lm.obstacle}"


@pytest.mark.filterwarnings("ignore:Position ids are not supported:UserWarning")
@pytest.mark.parametrize("kind", ["PrefixTuningConfig", "PromptTuningConfig"])
def test_adapters_with_virtual_tokens(kind):
    import peft

    model = peft.get_peft_model(tiny_model(), getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval()
    lm = engine(model)
    assert "adds virtual tokens before the prompt" in lm.obstacle
    assert same(lm.loglikelihood(REQUESTS), plain(model).loglikelihood(REQUESTS))
    requests = texts(rows(count=3))
    # Padding after the virtual tokens would change the texts.
    assert lm.generate_until(requests) == plain(model, batch_size=3).generate_until(requests)
    assert lm.generate_until(requests) == plain(model).generate_until(requests)


def pooled(model):
    """A method whose router depends on all tokens of a pass, here on their mean."""
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x) * (1 + torch.tanh(4 * x.mean()))

    for layer in model.model.layers:
        layer.mlp.up_proj = Pooled(layer.mlp.up_proj)
    return model


def test_an_adapter_that_is_active_after_certain_tokens():
    import peft

    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["up_proj"], r=2, alora_invocation_tokens=[5])
    model = peft.get_peft_model(tiny_model(), config).eval()
    assert "active only after certain tokens" in engine(model).obstacle
    assert (
        engine(peft.get_peft_model(tiny_model(), peft.LoraConfig(r=2, target_modules=["up_proj"])).eval()).obstacle
        is None
    )


@pytest.mark.parametrize("case", ["letters", "several lengths"])
def test_the_self_check_detects_a_router_that_pools_over_the_sequence(case):
    model, requests = pooled(tiny_model()), choices(*CASES[case])
    lm = engine(model)
    # Requests are answered one at a time, because the plain answers depend on batching, too.
    assert same(lm.loglikelihood(requests), plain(model).loglikelihood(requests))
    assert lm.used.startswith("hf: the model's output depends on batching or caching")
    assert lm.generate_until(texts(rows(count=3))) == plain(model).generate_until(texts(rows(count=3)))


def test_the_self_check_detects_it_in_texts():
    model = pooled(tiny_model())
    lm = engine(model)
    assert lm.generate_until(texts(rows())) == plain(model).generate_until(texts(rows()))
    assert lm.used.startswith("hf: the model's output depends on batching or caching")


def test_the_self_check_detects_prefix_tuning():
    """Without the self-check, the answers of prefix tuning would be wrong without an error."""
    import peft

    model = peft.get_peft_model(
        tiny_model(), peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    ).eval()
    lm = engine(model, obstacle=None)
    expected = plain(model).loglikelihood(REQUESTS)
    assert same(lm.loglikelihood(REQUESTS), expected)
    assert lm.used.startswith("hf: ")


def test_each_kind_of_batch_is_checked_once():
    model, seen = tiny_model(), []
    lm = engine(model)
    call = lm._model_call
    lm._model_call = lambda ids: seen.append(tuple(ids.shape)) or call(ids)
    lm.loglikelihood(REQUESTS)
    first = len(seen)
    # Checked are the ends of the batch with the shortest prompts, and one continuation of the longest prompt.
    assert 1 < first <= 2 * len(LABELS[:2]) + 1
    assert (
        max(length for _, length in seen)
        == max(len(lm._encode_pair(*r.args)[0] + lm._encode_pair(*r.args)[1]) for r in REQUESTS) - 1
    )
    lm.loglikelihood(REQUESTS)
    assert len(seen) == first
    lm.loglikelihood(choices(*CASES["letters"]))
    assert first < len(seen) <= first + 2 * 3 + 1


def test_half_precision_is_not_reported_as_a_fault():
    import torch

    model = tiny_model().to(torch.bfloat16)
    lm = engine(model)
    answers, expected = lm.loglikelihood(REQUESTS), plain(model).loglikelihood(REQUESTS)
    assert lm.used == "prefix"
    assert [answer[0] for answer in answers] == pytest.approx([answer[0] for answer in expected], abs=1.0)
    assert not same(answers, expected)


@pytest.mark.parametrize(("changes", "numbers"), [({}, 2 * 2 * 2 * 8), ({"head_dim": 16}, 2 * 2 * 2 * 16)])
def test_bytes_of_a_position_are_those_of_its_cache(changes, numbers):
    """Keys and values × layers × heads of keys × size, four bytes each."""
    import torch

    from cme.evaluation.engine.support import position_bytes

    model = tiny_model(**changes)
    cache = model(torch.tensor([[1, 2, 3]]), use_cache=True).past_key_values
    kept = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert position_bytes(model) == kept / 3 == 4 * numbers
