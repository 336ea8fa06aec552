"""Operations and memory compared with hand counts, and the rounds of the time measurement."""

from dataclasses import replace

import pytest
import torch

from cme.adapters.methods import METHODS
from cme.bench.adapters.cases import Case, build, plan, trainable
from cme.bench.adapters.flops import count_flops
from cme.bench.adapters.memory import peak_memory
from cme.bench.adapters.timing import measure
from cme.bench.adapters.work import Work, backward
from tests.adapters.conftest import SIZES, logits, make_base
from tests.bench.adapters.conftest import settings

D, M, LAYERS = SIZES["hidden_size"], SIZES["intermediate_size"], SIZES["num_hidden_layers"]
SHAPES = [(D, M), (D, M), (M, D)] * LAYERS
"""Inputs and outputs of the adapted layers: gate, up and down projection."""

PER_TOKEN = {
    # Products of one token, R = 4, k = 2, r = 2: two operations for each number of each matrix.
    "lora": lambda d, m: 2 * 4 * (d + m),
    "moslora": lambda d, m: 2 * (4 * (d + m) + 4 * 4),
    "moelora": lambda d, m: 2 * (4 * (d + m) + 2 * d),
    "hydralora": lambda d, m: 2 * (2 * d + 4 * m + 2 * d),
    "teamlora": lambda d, m: 2 * (4 * (d + m) + 2 * d + 2 * 2),
    "mola": lambda d, m: 2 * (4 * (d + m) + 2 * d),
    "adamole": lambda d, m: 2 * (4 * (d + m) + 3 * d),
}


def case(method, form="fused"):
    plain = method in ("lora", "moslora")
    return Case(method, "plain", rank=4) if plain else Case(method, form, 2, 2)


@pytest.mark.parametrize("form", ["fused", "loop"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("method", PER_TOKEN)
def test_operations_by_hand(method, dtype, form):
    base, chosen = make_base().to(dtype), settings()
    adapted, alone = build(base, case(method, form), chosen), build(base, Case("base"), chosen)
    added = sum(PER_TOKEN[method](d, m) for d, m in SHAPES)
    for mode, tokens in (("prefill", 2 * 8), ("decode", 2 * 1)):
        assert count_flops(adapted, mode, chosen) - count_flops(alone, mode, chosen) == tokens * added


@pytest.mark.parametrize(
    ("one", "per_token"),
    [
        (Case("comol", "fused", 2, 4), lambda d, m: 2 * (4 * (d + m) + 4 * 2 + 2 * 4 * 4)),
        (Case("smora", rank=4), lambda d, m: 2 * 4 * (2 * d + m)),
        (Case("flylora", rank=4), lambda d, m: 2 * 4 * (d + m)),
    ],
    ids=lambda value: getattr(value, "method", ""),
)
def test_operations_of_methods_without_a_loop_by_hand(one, per_token):
    base, chosen = make_base(), settings()
    adapted, alone = build(base, one, chosen), build(base, Case("base"), chosen)
    for mode, tokens in (("prefill", 2 * 8), ("decode", 2 * 1)):
        added = count_flops(adapted, mode, chosen) - count_flops(alone, mode, chosen)
        assert added == tokens * sum(per_token(d, m) for d, m in SHAPES)


def test_operations_of_a_training_step_by_hand():
    chosen = settings()
    alone = count_flops(build(make_base(), Case("base"), chosen), "train", chosen)
    adapted = count_flops(build(make_base(), case("lora"), chosen), "train", chosen)
    # Forward, gradient of the input, gradient of the weights: three products for each of the adapter's. The first layer's
    # input has no gradient: there the adapted model saves the base's way back to the embedded tokens (attention's four
    # matrices, its two products, one norm), gate's and up's, and the adapter's own at gate and up.
    tokens, heads = 2 * 6, 4
    width = D // heads
    matrices = 2 * D * D + 2 * D * (2 * width)
    attention = 2 * 2 * 6 * D
    saved = 2 * matrices + 2 * attention + 2 * (2 * D * M) + 2 * (2 * 4 * D)
    added = 3 * sum(PER_TOKEN["lora"](d, m) for d, m in SHAPES)
    assert adapted - alone == tokens * (added - saved)


def test_a_training_step_learns_the_answer_alone(tokens):
    adapted = build(make_base(), case("teamlora"), settings())
    backward(adapted, tokens, 3)
    gradients = [weight.grad.clone() for weight in trainable(adapted)]
    adapted.zero_grad()
    labels = tokens.clone()
    labels[:, :-3] = -100
    adapted(input_ids=tokens, labels=labels).loss.backward()
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    for gradient, weight in zip(gradients, trainable(adapted), strict=True):
        torch.testing.assert_close(gradient, weight.grad)


def test_counting_changes_nothing():
    base, chosen = make_base(), settings()
    adapted = build(base, case("teamlora"), chosen)
    before = {name: weight.clone() for name, weight in adapted.named_parameters()}
    count_flops(adapted, "train", chosen)
    assert adapted.get_base_model().config._attn_implementation == base.config._attn_implementation
    for name, weight in adapted.named_parameters():
        assert torch.equal(weight, before[name]) and weight.grad is None


@pytest.mark.parametrize("method", ["moelora", "hydralora", "teamlora", "mola", "adamole"])
def test_the_loop_computes_the_same(method, tokens):
    chosen = settings()
    fused = build(make_base(), case(method), chosen).eval()
    loop = build(make_base(), case(method, "loop"), chosen).eval()
    torch.testing.assert_close(logits(loop, tokens), logits(fused, tokens), rtol=0, atol=1e-5)
    with fused.disable_adapter():
        assert not torch.allclose(logits(fused, tokens), logits(loop, tokens), atol=1e-4)
    sizes = [sorted(weight.numel() for weight in trainable(model)) for model in (fused, loop)]
    assert sum(sizes[0]) == sum(sizes[1]) and len(sizes[1]) > len(sizes[0])


@pytest.mark.parametrize(("method", "downs"), [("moelora", 2), ("hydralora", 1), ("teamlora", 1)])
def test_the_loop_has_the_papers_products(method, downs):
    model = build(make_base(), case(method, "loop"), settings())
    layers = [module for module in model.modules() if hasattr(module, "downs")]
    assert len(layers) == 3 * LAYERS
    for layer in layers:
        assert len(layer.downs) == downs and len(layer.ups) == 2
        assert all(up.shape == (layer.out_features, 2) and up.is_contiguous() for up in layer.ups)


def test_cases_share_the_base_and_nothing_else(tokens):
    base, chosen = make_base(), settings()
    one, other = (build(base, case("lora"), chosen) for _ in range(2))
    weights = [{id(weight) for weight in model.parameters()} for model in (one, other)]
    assert weights[0] & weights[1] == {id(weight) for weight in base.parameters()}
    assert all((weight != 0).any() for weight in trainable(one))
    torch.testing.assert_close(logits(one, tokens), logits(other, tokens))


def test_methods_whose_experts_share_the_rank_have_the_whole_rank_and_no_loop():
    cases = plan(make_base(), settings(methods=("smora", "comol", "flylora")))
    assert [(one.name, one.rank) for one in cases] == [("smora", 4), ("comol k2", 4), ("flylora", 4)]


def test_a_method_off_the_core_has_no_loop():
    cases = plan(make_base(), settings(methods=("lora", "base", "moslora", "hydralora")))
    assert [one.name for one in cases] == ["base", "lora", "moslora", "hydralora k2", "hydralora k2 loop"]
    assert {one.name: one.form for one in cases}["moslora"] == "plain"


def test_methods_with_experts_are_measured_at_each_number():
    cases = plan(make_base(), settings(methods=("teamlora", "lora"), experts=(1, 2, 4), forms=("loop",)))
    assert [(one.name, one.rank) for one in cases] == [
        *(("lora", 4), ("teamlora k1 loop", 4), ("teamlora k2 loop", 2), ("teamlora k4 loop", 1)),
    ]


@pytest.mark.long
def test_peak_memory_counts_the_adapter_by_the_byte():
    base, chosen = make_base(), settings(infer_length=1, batch=1)
    resident = sum(weight.nbytes for weight in (*base.parameters(), *base.buffers()))
    alone = peak_memory(base, Case("base"), "train", chosen)
    small, large = (peak_memory(base, Case("lora", rank=rank), "train", chosen) for rank in (64, 128))
    assert alone > resident
    # At these ranks the optimiser's step is the peak: weights, gradients and AdamW's two moments, four bytes each.
    assert large - small >= 4 * 4 * 64 * sum(d + m for d, m in SHAPES)
    # ... and it is the same when measured again, whatever was measured in between.
    assert peak_memory(base, Case("base"), "train", chosen) == alone


def test_decode_counts_the_cache():
    base = make_base()
    short, long = (peak_memory(base, Case("base"), "decode", settings(infer_length=n)) for n in (8, 40))
    width = SIZES["num_key_value_heads"] * D // SIZES["num_attention_heads"]
    assert long - short >= LAYERS * 2 * 2 * 32 * width * 4


def test_every_case_runs_once_a_round_in_an_order_drawn_anew():
    ran = []
    model = torch.nn.Linear(1, 1)

    def work(name):
        return Work(model, lambda: ran.append(name), lambda: None, 2, False, torch.no_grad)

    steps = []
    times = measure({name: work(name) for name in "abc"}, rounds=8, warmup=2, seed=1, advance=lambda: steps.append(1))
    rounds = [tuple(ran[i : i + 3]) for i in range(0, 30, 3)]
    assert len(ran) == len(steps) == 30 and all(sorted(order) == list("abc") for order in rounds)
    assert len(set(rounds)) > 2
    assert {name: len(values) for name, values in times.items()} == {"a": 8, "b": 8, "c": 8}


def test_a_copy_of_comol_in_another_package_is_measured_as_comol(monkeypatch):
    monkeypatch.setattr(METHODS, "_known", {**METHODS._known, "mycore": replace(METHODS["comol"], name="mycore")})
    monkeypatch.setattr(METHODS, "_own", (*METHODS._own, "mycore"))
    assert [(one.name, one.rank) for one in plan(make_base(), settings(methods=("mycore",)))] == [("mycore k2", 4)]
