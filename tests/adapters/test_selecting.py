"""Identities and refusals of the methods that select experts: MoLA, AdaMoLE, SMoRA, FlyLoRA; and those of CoMoL."""

import json

import pytest
import torch
from peft import PeftModel, get_peft_model

from cme.adapters import build_config, count, formula_trainable, load_adapter, match_rank, settings_from
from cme.adapters.routed.gate_sums import gate_sums
from cme.adapters.routed.gates import recorded_gates
from cme.adapters.routed.masks import masked_experts
from cme.errors import UsageError
from tests.adapters.conftest import layers, logits, make_base, make_config


def copy_to(target, source, pairs):
    with torch.no_grad():
        for one, two in zip(layers(target), layers(source), strict=True):
            for mine, value in pairs.items():
                values = value(two) if callable(value) else getattr(two, value)["default"]
                getattr(one, mine)["default"].copy_(values)


def recorded(model, tokens):
    with recorded_gates(model) as routed, torch.no_grad():
        model(input_ids=tokens)
        return {path: layer.gates["default"] for path, layer in routed.items()}


# MoLA


def test_all_experts_of_mola_are_moelora(adapted, tokens):
    every, moe = adapted("mola", top_k=4), adapted("moelora")
    copy_to(every, moe, {"mola_A": "moelora_A", "mola_B": "moelora_B", "mola_W": "moelora_W"})
    torch.testing.assert_close(logits(every, tokens), logits(moe, tokens), rtol=0, atol=1e-5)


def test_each_token_uses_top_k_experts_with_the_softmax_over_their_logits(adapted, tokens):
    model = adapted("mola", top_k=2)
    x = torch.randn(7, 24)
    layer = layers(model)[0]
    layer.record_gates = True
    layer(x)
    gates, scores = layer.gates["default"], x @ layer.mola_W["default"].T
    assert ((gates > 0).sum(-1) == 2).all()
    best = scores.topk(2)
    torch.testing.assert_close(gates.gather(-1, best.indices), torch.softmax(best.values, -1), rtol=1e-5, atol=1e-6)


def test_layers_of_mola_have_their_own_numbers_of_experts(adapted, tokens, tmp_path):
    model = adapted("mola", experts_pattern={r"layers\.0\..*": 2, r"1\.mlp\.up_proj": 6})
    numbers = {path: gates.shape[-1] for path, gates in recorded(model, tokens).items()}
    assert [numbers[f"model.layers.{i}.mlp.up_proj"] for i in range(2)] == [2, 6]
    assert numbers["model.layers.1.mlp.down_proj"] == 4 and numbers["model.layers.0.mlp.down_proj"] == 2
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(load_adapter(make_base(), tmp_path), tokens), logits(model, tokens))
    with masked_experts(model, {"model.layers.1.mlp.up_proj": [5]}):
        assert not torch.equal(logits(load_adapter(make_base(), tmp_path), tokens), logits(model, tokens))
    with pytest.raises(UsageError, match="different numbers of experts: 2, 4, 6"), gate_sums(model, [0]):
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 1}, r"mola: top_k must be at least 2, but is 1\. The gate weight of a single expert is always 1"),
        ({"top_k": 5}, r"experts must be at least top_k \(5\), but is 4"),
        ({"experts_pattern": {"up_proj": 1}}, r"experts_pattern 'up_proj' must be at least top_k \(2\), but is 1"),
        (
            {"experts_pattern": {"up_proj": 4, r".*\.0\..*": 2}},
            r"gives the layer model\.layers\.0\.mlp\.up_proj different",
        ),
        ({"experts_pattern": {"q_proj": 4}}, r"the key 'q_proj' of experts_pattern matches none of the adapted layers"),
        ({"experts_pattern": {"(": 4}}, r"experts_pattern: '\(' is not a valid regular expression"),
        ({"topk": 2}, r"unknown option 'topk' \(did you mean 'top_k'\?\)"),
        ({"foo": 2}, r"unknown option 'foo' \(the options are .*experts_pattern, .*top_k\)"),
        (
            {"gate_scale": 2},
            r"gate_scale is the former name of gate_sum, .* give gate_sum \(--gate-sum\) in place of an option",
        ),
        ({"lora_alpha": 2}, r"lora_alpha is a setting of its own: give alpha \(--alpha\)"),
    ],
)
def test_selections_that_mola_cannot_make(options, message):
    with pytest.raises(UsageError, match=message):
        count(make_base().config, settings_from({"method": "mola", "rank": 3, "options": options}))


# AdaMoLE


def test_without_a_threshold_adamole_is_moelora(adapted, tokens):
    ada, moe = adapted("adamole", max_threshold=1e-9), adapted("moelora")
    rows = {"adamole_W": lambda layer: torch.cat([layer.moelora_W["default"], layer.moelora_W["default"][:1]])}
    copy_to(ada, moe, {"adamole_A": "moelora_A", "adamole_B": "moelora_B", **rows})
    torch.testing.assert_close(logits(ada, tokens), logits(moe, tokens), rtol=0, atol=1e-5)


def test_every_token_uses_an_expert_and_some_use_fewer_than_all(adapted, tokens):
    model = adapted("adamole")
    with torch.no_grad():
        for layer in layers(model):
            layer.adamole_T["default"].fill_(50)  # The threshold is at its bound, 1 / experts.
    used = torch.cat([(gates > 0).sum(-1).flatten() for gates in recorded(model, tokens).values()])
    assert used.min() >= 1 and used.min() < used.max() < 4


def test_equal_gate_weights_at_the_threshold_use_no_expert_and_stay_finite(adapted):
    layer = layers(adapted("adamole", trained=False).train())[0]
    with torch.no_grad():
        layer.adamole_W["default"].zero_()
        layer.adamole_T["default"].fill_(200)
        layer.adamole_B["default"].fill_(1)
    x = torch.randn(3, 24, requires_grad=True)
    output = layer(x)
    output.square().sum().backward()
    assert torch.equal(output, layer.base_layer(x)) and x.grad.isfinite().all()
    assert layer.adamole_T["default"].grad.isfinite().all()


@pytest.mark.parametrize("value", [0.0, -0.1, 0.26, 1.0])
def test_thresholds_out_of_range(value):
    settings = settings_from({"method": "adamole", "options": {"max_threshold": value}})
    with pytest.raises(UsageError, match=r"max_threshold must be above 0 and at most 1 / experts \(0.25\), but is "):
        build_config(settings, make_base())


def test_a_single_expert_has_no_threshold():
    with pytest.raises(ValueError, match="experts must be at least 2, but is 1"):
        make_config("adamole", experts=1)


# CoMoL


def test_comol_is_hydralora_with_heads_b_m(adapted, tokens):
    com, hydra = adapted("comol", core_router=False), adapted("hydralora")

    def heads(layer):
        ups = [layer.comol_B["default"] @ core.T for core in layer.comol_M["default"]]
        return torch.cat(ups, dim=1)

    copy_to(hydra, com, {"hydralora_A": "comol_A", "hydralora_B": heads, "hydralora_W": "comol_W"})
    torch.testing.assert_close(logits(com, tokens), logits(hydra, tokens), rtol=0, atol=1e-4)


def test_one_expert_of_comol_is_moslora(adapted, tokens):
    com, mos = adapted("comol", experts=1), adapted("moslora")
    pairs = {"moslora_A": "comol_A", "moslora_B": "comol_B", "moslora_M": lambda layer: layer.comol_M["default"][0].T}
    copy_to(mos, com, pairs)
    torch.testing.assert_close(logits(com, tokens), logits(mos, tokens), rtol=0, atol=1e-5)


def test_experts_of_comol_share_the_rank():
    values = {"method": "comol", "experts": 8}
    settings, counts = match_rank(make_base().config, values, "lora:8")
    # Per layer r(24+40) + 8r² + 8r: 6 layers of at most 8 · 64.
    assert settings.rank == 4 and counts.trainable == 6 * (4 * 64 + 8 * 16 + 8 * 4)


# SMoRA and FlyLoRA


def test_smora_with_all_ranks_and_an_even_router_is_lora(adapted, tokens):
    model, lora = adapted("smora", top_k=12), adapted("lora", r=12, lora_alpha=24)
    with torch.no_grad():
        for one, two in zip(layers(model), layers(lora), strict=True):
            one.smora_W["default"].zero_()
            one.smora_b["default"].zero_()
            two.lora_A["default"].weight.copy_(one.smora_A["default"])
            two.lora_B["default"].weight.copy_(one.smora_B["default"])
    torch.testing.assert_close(logits(model, tokens), logits(lora, tokens), rtol=0, atol=1e-5)


def test_smora_has_the_scale_of_the_authors_code():
    """The authors' alpha of 16 multiplies a mean of the chosen ranks. In CME it is alpha / r · top_k = 128 / 64 · 8."""
    config = build_config(settings_from({"method": "smora", "rank": 64}), make_base())
    assert (config.scaling, config.top_k, config.bias_step) == (16, 8, 1e-5)
    fly = build_config(settings_from({"method": "flylora", "rank": 32}), make_base())
    assert (fly.scaling / fly.top_k, fly.top_k, fly.bias_step) == (64 / 32, 8, 1e-3)


def test_flylora_with_all_ranks_is_lora_with_a_frozen_a(adapted, tokens):
    model, lora = adapted("flylora", top_k=12), adapted("lora", r=12, lora_alpha=24)
    with torch.no_grad():
        for one, two in zip(layers(model), layers(lora), strict=True):
            two.lora_A["default"].weight.copy_(one.flylora_A["default"])
            two.lora_B["default"].weight.copy_(one.flylora_B["default"])
    torch.testing.assert_close(logits(model, tokens), logits(lora, tokens), rtol=0, atol=1e-5)


def test_a_of_flylora_is_sparse_frozen_and_saved_bitwise(tokens, tmp_path):
    torch.manual_seed(0)
    model = get_peft_model(make_base(), make_config("flylora", r=12, top_k=3, init_weights=False))
    matrices = [layer.flylora_A["default"] for layer in layers(model)]
    for matrix in matrices:
        drawn = round(matrix.shape[1] * 3 / 12)
        assert ((matrix != 0).sum(-1) == drawn).all() and not matrix.requires_grad
    values = torch.cat([matrix[matrix != 0] for matrix in matrices])
    assert float(values.std()) == pytest.approx(1 / 12, rel=0.1)
    assert {name.split(".")[-2] for name, weight in model.named_parameters() if weight.requires_grad} == {"flylora_B"}
    model.set_adapter("default")
    model.save_pretrained(tmp_path)
    torch.manual_seed(99)
    for again in (PeftModel.from_pretrained(make_base(), tmp_path), load_adapter(make_base(), tmp_path)):
        for layer, matrix in zip(layers(again), matrices, strict=True):
            assert torch.equal(layer.flylora_A["default"], matrix)
        assert torch.equal(logits(again, tokens), logits(model.eval(), tokens))


def test_the_gradient_of_flylora_reaches_lower_layers(adapted):
    layer = layers(adapted("flylora").train())[0]
    x = torch.randn(5, 24, requires_grad=True)
    (layer(x) - layer.base_layer(x)).square().sum().backward()
    assert x.grad.abs().sum(-1).min() > 0


@pytest.mark.parametrize("method", ["smora", "flylora"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, r"top_k must be from [12] to the rank \(12\), but is 0"),
        ({"top_k": 13}, r"top_k must be from [12] to the rank \(12\), but is 13"),
        ({"experts": 4}, r"experts is always r \(12\), because every rank is an expert, but is 4"),
        ({"bias_step": -1.0}, r"bias_step must be a number of at least 0, but is -1"),
        ({"bias_step": float("nan")}, r"bias_step must be a number of at least 0, but is nan"),
        ({"balance_form": "switch"}, r"balance_form cannot be set, but is switch\. The selection bias balances"),
        ({"gate_sum": "experts"}, r"gate_sum and gate_scale cannot be set"),
        ({"balance_weight": 0.1}, r"balance_weight must be 0, but is 0\.1\. The selection bias balances"),
    ],
)
def test_settings_that_ranks_as_experts_cannot_have(method, options, message):
    with pytest.raises(UsageError, match=rf"{method}: {message}"):
        build_config(settings_from({"method": method, "rank": 12, "options": options}), make_base())


def test_a_single_rank_per_token_is_refused_where_the_router_would_get_no_gradient():
    with pytest.raises(
        ValueError, match=r"top_k must be from 2 to the rank \(12\), but is 1\. The gate weight of a single"
    ):
        make_config("smora", top_k=1)
    assert make_config("flylora", top_k=1).top_k == 1


@pytest.mark.parametrize("method", ["smora", "flylora"])
@pytest.mark.parametrize(("rank", "chosen"), [(2, 2), (3, 2), (8, 4), (15, 7), (16, 8), (64, 8)])
def test_by_default_each_token_uses_some_of_the_ranks(method, rank, chosen):
    """The default rank of the command line is 8, at which 8 chosen ranks would be no selection."""
    assert make_config(method, r=rank, top_k=None).top_k == chosen


def test_a_budget_starts_at_the_lowest_rank_of_a_method():
    settings, _ = match_rank(make_base().config, {"method": "smora"}, "8000")
    assert settings.rank > 2


def test_a_budget_with_a_fixed_number_of_chosen_ranks():
    values = {"method": "smora", "options": {"top_k": 4}}
    settings, counts = match_rank(make_base().config, values, "8000")
    assert settings.rank >= 4 and counts.trainable <= 8000
    with pytest.raises(UsageError, match="smora at rank 4 trains"):
        match_rank(make_base().config, values, "10")


@pytest.mark.parametrize("method", ["mola", "adamole", "comol", "smora", "flylora"])
def test_unused_settings_are_not_written(method, adapted, tmp_path):
    """A new optional setting must not change the fingerprints of adapters that do not use it."""
    adapted(method).save_pretrained(tmp_path)
    values = json.loads((tmp_path / "adapter_config.json").read_text())
    assert not values.keys() & {"experts_pattern", "max_threshold", "gate_scale", "balance_form"}


def test_the_formula_of_comol_holds_for_both_routers():
    base, shapes = make_base().config, [(24, 40), (24, 40), (40, 24)] * 2
    for core_router in (True, False):
        settings = settings_from({"method": "comol", "rank": 3, "experts": 4, "options": {"core_router": core_router}})
        wanted = formula_trainable("comol", shapes, rank=3, experts=4, core_router=core_router)
        assert count(base, settings).trainable == wanted


def test_a_rank_below_the_fewest_ranks_of_a_token_is_named_itself():
    with pytest.raises(UsageError, match=r"^smora: r must be at least 2, but is 1\. The gate weight of a single rank"):
        count(make_base().config, settings_from({"method": "smora", "rank": 1}))
