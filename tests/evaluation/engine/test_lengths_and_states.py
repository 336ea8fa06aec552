"""Models whose answers depend on the length or on a recurrent state are evaluated as in plain passes."""

import pytest

from cme.errors import CMEError
from tests.evaluation.engine.architectures import save_architecture
from tests.evaluation.engine.lab import choices, engine, plain, texts, tiny_model
from tests.evaluation.engine.test_choice import LABELS, SHOTS, rows
from tests.evaluation.engine.test_support import same
from tests.tiny import tiny_tokenizer

SHORT = choices(*[(row[:40], LABELS[:2]) for row in rows(count=4)])
LONG = choices(*[(row, [*LABELS[:2], " A", " B"]) for row in rows(start=SHOTS, count=6)])


def made(name, tmp_path):
    from cme.models.load import load_model

    save_architecture(name, tmp_path)
    return load_model(tmp_path, device="cpu")


def test_long_rope_is_read_in_one_pass_beyond_its_switch(tmp_path):
    model = made("phi3 with longrope", tmp_path)
    lm = engine(model)
    assert same(lm.loglikelihood(SHORT), plain(model).loglikelihood(SHORT))
    assert lm.used == "prefix"
    assert same(lm.loglikelihood(LONG), plain(model).loglikelihood(LONG))
    assert "beyond 64 tokens" in lm.used
    # In lm-eval's own code, the longest row of a batch determines the frequencies of all rows.
    assert same(plain(model, batch_size=4).loglikelihood(LONG), plain(model).loglikelihood(LONG))
    # A dataset with short prompts is answered by the prefix engine again.
    assert same(lm.loglikelihood(SHORT), plain(model).loglikelihood(SHORT))
    assert lm.used == "prefix"


def test_texts_that_grow_beyond_the_switch(tmp_path):
    model = made("phi3 with longrope", tmp_path)
    short = [row[:80] for row in rows(count=3)]
    for new_tokens, used in ((4, "prefix"), (60, "hf: the model uses other rotary embeddings beyond 64 tokens")):
        lm, requests = engine(model), texts(short, max_gen_toks=new_tokens)
        assert lm.generate_until(requests) == plain(model).generate_until(requests)
        assert lm.used.startswith(used)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0},
        {
            "rope_type": "longrope",
            "rope_theta": 10_000.0,
            "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4,
            "original_max_position_embeddings": 48,
        },
    ],
    ids=["dynamic", "longrope"],
)
def test_other_models_with_such_embeddings(rope):
    model = tiny_model(rope_parameters=rope, max_position_embeddings=48)
    lm = engine(model, _max_length=200)
    assert same(
        lm.loglikelihood(LONG),
        plain(tiny_model(rope_parameters=rope, max_position_embeddings=48), _max_length=200).loglikelihood(LONG),
    )
    assert "beyond 48 tokens" in lm.used


def switching(model, length):
    """A model that changes its computation beyond a length without declaring it."""
    import torch

    class Switching(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x) * (2 if x.shape[1] > length else 1)

    model.model.layers[0].mlp.up_proj = Switching(model.model.layers[0].mlp.up_proj)
    return model


def test_the_self_check_detects_a_switch_that_only_the_longest_prompts_cross():
    short = [row[:20] for row in rows(count=12)]
    requests = choices(*[(row, [" A", " B"]) for row in [*short, rows(start=SHOTS, count=1)[0] * 2]])
    lengths = [len(tiny_tokenizer().encode(request.args[0])) for request in requests]
    model = switching(tiny_model(), sorted(lengths)[-3] + 2)
    lm = engine(model)
    lm.loglikelihood(requests)
    assert lm.used == "prefix", "one pass per prompt crosses nothing"
    words = choices(*[(row, LABELS[:2]) for row in [*short, rows(start=SHOTS, count=1)[0] * 2]])
    assert same(lm.loglikelihood(words), plain(model).loglikelihood(words))
    assert lm.used.startswith("hf: the model's output depends on batching or caching")


@pytest.mark.parametrize("name", ["rwkv", "mamba", "recurrent_gemma", "lfm2"])
def test_a_state_reads_no_padding(name, tmp_path):
    import torch

    model, tokenizer = made(name, tmp_path), tiny_tokenizer()
    contexts = [row[: 30 + 17 * number] for number, row in enumerate(rows(count=6))]
    expected = []
    for context in contexts:
        ids = torch.tensor([tokenizer.encode(context)])
        with torch.no_grad():
            text = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        expected.append(tokenizer.decode(text[0, ids.shape[1] :], skip_special_tokens=True))
    requests = texts(contexts, max_gen_toks=8)
    for lm in (engine(model), plain(model, batch_size=8)):
        lm.batch_size_per_gpu = 8
        assert lm.generate_until(requests) == expected
        assert lm.alone


def test_keys_and_values_of_different_sizes(tmp_path):
    model = made("deepseek_v2", tmp_path)
    lm, requests = engine(model), texts(rows(start=SHOTS, count=5))
    assert lm.generate_until(requests) == plain(model).generate_until(requests)
    assert lm.used == "prefix"
    cache = model(**tiny_tokenizer()("a b c", return_tensors="pt"), use_cache=True).past_key_values
    assert cache.layers[0].keys.shape[-1] != cache.layers[0].values.shape[-1]


def test_a_failure_inside_the_engine_is_answered_by_plain_passes():
    from cme.evaluation.engine.runner import Runner

    class Broken(Runner):
        def go_on(self, *args):
            raise RuntimeError("The size of tensor a (4) must match\nthe size of tensor b")

    import cme.evaluation.engine.lm as module

    model, before = tiny_model(), module.Runner
    module.Runner = Broken
    try:
        lm = engine(model)
        assert same(lm.loglikelihood(LONG), plain(model).loglikelihood(LONG))
    finally:
        module.Runner = before
    assert lm.used == "hf: the engine fails with this model (RuntimeError: The size of tensor a (4) must match)"


def test_nan_is_not_answered_by_plain_passes():
    import torch

    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    with pytest.raises(CMEError, match="not a finite number"):
        engine(model).loglikelihood(LONG)


def test_a_budget_is_measured_on_the_model(tmp_path):
    from cme.evaluation.engine.support import position_bytes

    model = made("deepseek_v2", tmp_path)
    # Two layers keep the compressed keys and values (16) and the rotary part (8), in four bytes each.
    assert position_bytes(model) == 2 * (16 + 8) * 4


@pytest.mark.parametrize("special", [("eos_token", "pad_token"), ("bos_token", "eos_token", "pad_token")])
def test_a_tokenizer_without_an_end_of_text(special):
    tokenizer, model = tiny_tokenizer(), tiny_model()
    for name in special:
        setattr(tokenizer, name, None)
    size = len(tokenizer)
    lm, requests = engine(model, tokenizer), texts(rows(count=4))
    assert lm.generate_until(requests) == plain(model, tokenizer, batch_size=3).generate_until(requests)
    assert [answer[0] for answer in lm.loglikelihood(LONG)] == pytest.approx(
        [answer[0] for answer in plain(model).loglikelihood(LONG)], abs=1e-4
    )
    assert len(tokenizer) == size, "no token was added that the model does not know"


@pytest.mark.parametrize("requests", [LONG, texts(rows(count=2))], ids=["choices", "texts"])
def test_a_model_that_fails_alone_too_is_refused_in_one_message(requests):
    import torch

    class Fails(torch.nn.Module):
        def forward(self, x):
            raise IndexError("index 9 is out of range\nmore")

    model = tiny_model()
    model.model.layers[0].mlp.up_proj = Fails()
    lm = engine(model)
    answer = lm.loglikelihood if requests is LONG else lm.generate_until
    with pytest.raises(
        CMEError, match=r"a forward pass of LlamaForCausalLM fails \(IndexError: index 9 is out of range\)"
    ):
        answer(requests)
