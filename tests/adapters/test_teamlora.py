"""TeamLoRA as users of PEFT meet it."""

import copy

import pytest
import torch
from peft import get_peft_model

from cme.adapters.teamlora import TeamLoraConfig, TeamLoraLinear
from cme.errors import AdapterError, CMEError, UsageError
from tests.adapters.conftest import logits, make_base, make_config, randomise
from tests.adapters.oracle import LoopLayer, as_loop

VARIANTS = {
    "paper": {},
    "separate A": {"collaboration": False},
    "softmax": {"competition": False},
    "moelora": {"collaboration": False, "competition": False},
    "mlp router": {"router_hidden": 5},
    "released scale": {"gate_scale": "experts"},
    "one expert": {"experts": 1},
    "eight experts": {"experts": 8, "gate_scale": 0.5},
    "attention too": {"target_modules": ["q_proj", "v_proj", "up_proj"]},
}
variants = pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)


def layers(model):
    return [module for module in model.modules() if isinstance(module, TeamLoraLinear)]


@variants
def test_an_untrained_adapter_changes_nothing(base, adapted, tokens, fields):
    before = logits(base, tokens)
    torch.testing.assert_close(logits(adapted(trained=False, **fields), tokens), before, rtol=0, atol=0)


@variants
def test_each_layer_equals_the_loop_over_experts(adapted, fields):
    for layer in layers(adapted(**fields)):
        for rows in (1, 40):
            x = torch.randn(2, rows, layer.in_features)
            expected = LoopLayer(layer)(x)
            assert (layer(x) - expected).abs().max() <= 1e-5 * expected.abs().max()


@variants
def test_the_model_and_its_gradients_equal_the_loop(adapted, tokens, fields):
    fused = adapted(**fields)
    loop = adapted(**fields)
    named = [(name, weight) for name, weight in loop.named_parameters() if weight.requires_grad]
    as_loop(loop)
    torch.testing.assert_close(logits(fused, tokens), logits(loop, tokens), rtol=0, atol=1e-4)
    fused(input_ids=tokens, labels=tokens).loss.backward()
    loop(input_ids=tokens, labels=tokens).loss.backward()
    own = dict(fused.named_parameters())
    for name, weight in named:
        torch.testing.assert_close(own[name].grad, weight.grad, rtol=1e-3, atol=1e-6, msg=name)


@variants
def test_gradient_reaches_every_parameter(adapted, tokens, fields):
    model = adapted(**fields).train()
    model(input_ids=tokens, labels=tokens).loss.backward()
    reached = {name: float(p.grad.abs().sum()) for name, p in model.named_parameters() if p.requires_grad}
    # One expert alone always weighs 1, so its router and its interaction have nothing to learn.
    idle = ("teamlora_S", "teamlora_M") if fields.get("experts") == 1 else ()
    assert reached and all(total > 0 for name, total in reached.items() if not any(part in name for part in idle))
    assert all("teamlora_" in name for name in reached)


def test_the_start_is_as_published(adapted):
    for layer in layers(adapted(trained=False, r=32)):
        bound = layer.in_features**-0.5
        for name in ("teamlora_A", "teamlora_S"):
            weight = getattr(layer, name)["default"]
            assert weight.abs().max() <= bound and weight.abs().max() > 0.7 * bound
        assert not layer.teamlora_B["default"].any()
        interaction = layer.teamlora_M["default"]
        assert torch.equal(interaction.diagonal(), torch.ones(4))
        beside = interaction[~torch.eye(4, dtype=torch.bool)]
        assert beside.abs().max() <= 0.1 and beside.abs().max() > 0


def test_collaboration_is_a_matter_of_storage_only(adapted, tokens):
    """One shared A that is split, and k separate ones: same start, same function, same number of parameters."""
    shared, separate = adapted(trained=False), adapted(trained=False, collaboration=False)
    for one, other in zip(layers(shared), layers(separate), strict=True):
        assert one.teamlora_A["default"].shape == (12, one.in_features)
        assert other.teamlora_A["default"].shape == (4, 3, one.in_features)
        assert torch.equal(one.teamlora_A["default"], other.teamlora_A["default"].flatten(0, 1))
    randomise(shared), randomise(separate)
    torch.testing.assert_close(logits(shared, tokens), logits(separate, tokens), rtol=0, atol=0)
    assert shared.get_nb_trainable_parameters() == separate.get_nb_trainable_parameters()


def test_gate_scale_multiplies_what_the_adapter_adds():
    torch.manual_seed(0)
    layer = TeamLoraLinear(torch.nn.Linear(6, 5), "default", TeamLoraConfig(r=2, init_weights=False))
    scaled = copy.deepcopy(layer)
    scaled.plans["default"] = type(scaled.plans["default"])(
        TeamLoraConfig(r=2, gate_scale="experts").scaling, False, scaled.plans["default"].config
    )
    x = torch.randn(7, 6)
    torch.testing.assert_close(scaled(x) - layer.base_layer(x), 4 * (layer(x) - layer.base_layer(x)))


def test_experts_share_the_weight_of_one(adapted, tokens):
    model = adapted(competition=True)
    for layer in layers(model):
        layer.record_gates = True
    logits(model, tokens)
    for layer in layers(model):
        gates = layer.gates["default"]
        assert gates.shape == (2, 9, 4) and gates.dtype == torch.float32
        torch.testing.assert_close(gates.sum(-1), torch.ones(2, 9), rtol=1e-3, atol=1e-3)


def test_disabled_the_base_is_back(base, adapted, tokens):
    model = adapted()
    with model.disable_adapter():
        assert torch.equal(logits(model, tokens), logits(base, tokens))
    assert not torch.equal(logits(model, tokens), logits(base, tokens))


def test_two_adapters_switch_and_one_is_deleted(base, adapted, tokens):
    model = adapted()
    first = logits(model, tokens)
    model.add_adapter("second", make_config(experts=2, competition=False, collaboration=False))
    assert torch.equal(logits(model, tokens), first)
    model.set_adapter("second")
    assert torch.equal(logits(model, tokens), logits(base, tokens))
    model.set_adapter("default")
    assert torch.equal(logits(model, tokens), first)
    model.delete_adapter("default")
    assert not any("default" in name for name, _ in model.named_parameters())
    model.set_adapter("second")
    assert torch.equal(logits(model, tokens), logits(base, tokens))


def test_two_active_adapters_add_up(adapted, tokens):
    model = adapted()
    model.add_adapter("second", make_config())
    randomise(model, seed=7)
    layer, x = layers(model)[0], torch.randn(3, 24)
    outputs = {}
    for names in (["default"], ["second"], ["default", "second"]):
        model.base_model.set_adapter(names)
        outputs[len(names), names[0]] = layer(x) - layer.base_layer(x)
    torch.testing.assert_close(outputs[2, "default"], outputs[1, "default"] + outputs[1, "second"])


@pytest.mark.parametrize("merge", ["merge_and_unload", "merge_adapter"])
def test_merging_is_refused_and_says_why(adapted, tokens, merge):
    model = adapted()
    before = logits(model, tokens)
    with pytest.raises(AdapterError, match=r"gates weigh the experts anew for every token.*unload\(\)"):
        getattr(model, merge)()
    with pytest.raises(AdapterError, match="cannot be merged"):
        layers(model)[0].merge()
    assert torch.equal(logits(model, tokens), before)


def test_unload_gives_the_base_back(base, adapted, tokens):
    plain = adapted().unload()
    assert not layers(plain)
    assert torch.equal(logits(plain, tokens), logits(base, tokens))


def test_generating_with_a_cache_equals_without(adapted, tokens):
    model = adapted()
    runs = [
        model.generate(input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=8, do_sample=False,
                       use_cache=use_cache, pad_token_id=0)
        for use_cache in (True, False)
    ]  # fmt: skip
    assert torch.equal(*runs) and runs[0].shape[1] > 9


def test_left_padding_does_not_change_a_row(adapted, tokens):
    model = adapted()
    padded = torch.cat((torch.zeros(2, 4, dtype=torch.long), tokens), dim=1)
    mask = (padded != 0).long()
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    own = logits(model, padded, attention_mask=mask, position_ids=positions)[:, 4:]
    torch.testing.assert_close(own, logits(model, tokens), rtol=0, atol=1e-5)


def test_rows_do_not_depend_on_the_batch(adapted, tokens):
    model = adapted()
    torch.testing.assert_close(logits(model, tokens)[:1], logits(model, tokens[:1]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("cast", [True, False])
def test_a_bfloat16_base(adapted, tokens, cast):
    model = get_peft_model(make_base().to(torch.bfloat16), make_config(), autocast_adapter_dtype=cast).eval()
    randomise(model)
    kinds = {weight.dtype for name, weight in model.named_parameters() if "teamlora_" in name}
    assert kinds == {torch.float32 if cast else torch.bfloat16}
    output = logits(model, tokens)
    assert output.dtype == torch.bfloat16
    exact = logits(adapted(), tokens)
    assert (output.float() - exact).abs().max() < 0.1 * exact.abs().max()
    model.train()(input_ids=tokens, labels=tokens).loss.backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.requires_grad)


def test_autocast(adapted, tokens):
    model = adapted().train()
    exact = logits(model.eval(), tokens)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model.train()(input_ids=tokens, labels=tokens)
    outputs.loss.backward()
    assert (outputs.logits.float() - exact).abs().max() < 0.05 * exact.abs().max()
    assert all(weight.grad.dtype == torch.float32 for weight in model.parameters() if weight.requires_grad)


def test_dropout_hits_the_experts_only_in_training_and_never_the_router(adapted, tokens):
    model = adapted(lora_dropout=0.5)
    assert torch.equal(logits(model, tokens), logits(adapted(), tokens))
    model.train()
    layer = layers(model)[0]
    layer.record_gates = True
    x = torch.randn(40, 24)
    first, gates = layer(x), layer.gates["default"]
    assert not torch.equal(first, layer(x))
    assert torch.equal(gates, layer.gates["default"])


def test_biases_can_be_trained(tokens):
    base = make_base(mlp_bias=True)
    model = get_peft_model(base, make_config(bias="teamlora_only"))
    assert {name.split(".")[-2] for name, p in model.named_parameters() if p.requires_grad and "bias" in name} == {
        "base_layer"
    }


def test_layers_can_be_chosen(adapted):
    model = adapted(target_modules=["up_proj"], layers_to_transform=[1])
    assert model.base_model.targeted_module_names == ["model.layers.1.mlp.up_proj"]
    model = adapted(exclude_modules=["down_proj"], modules_to_save=["lm_head"])
    assert len(layers(model)) == 4
    assert any("modules_to_save" in name for name, p in model.named_parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"r": 0}, "r must be at least 1"),
        ({"experts": 0}, "experts must be at least 1"),
        ({"lora_dropout": 1.0}, "lora_dropout"),
        ({"gate_scale": "expert"}, "gate_scale"),
        ({"router_hidden": -1}, "router_hidden"),
        ({"target_modules": ".*up_proj", "layers_to_transform": [0]}, "layers_to_transform"),
    ],
)
def test_a_configuration_out_of_range_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        TeamLoraConfig(**fields)


def test_every_field_has_a_help_text():
    for field in TeamLoraConfig.__dataclass_fields__.values():
        if field.name not in ("base_model_name_or_path", "revision"):
            assert field.metadata.get("help"), field.name


def test_other_layers_than_linear_are_refused(base):
    with pytest.raises(UsageError, match="embed_tokens is a Embedding"):
        get_peft_model(base, make_config(target_modules=["embed_tokens"]))
    assert issubclass(UsageError, CMEError)


def test_another_adapter_for_each_row_is_refused(adapted, tokens):
    with pytest.raises(UsageError, match=r"adapter_names .* works with LoRA only"):
        adapted()(input_ids=tokens, adapter_names=["default", "__base__"])


def test_data_parallel_training_finds_no_unused_parameter(adapted, tokens):
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = torch.nn.parallel.DistributedDataParallel(adapted(balance_weight=1.0).train())
        for _ in range(2):
            model(input_ids=tokens, labels=tokens).loss.backward()
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.long
def test_torch_compile_gives_the_same(adapted):
    layer = layers(adapted())[0]
    x = torch.randn(2, 40, 24)
    torch.testing.assert_close(torch.compile(layer)(x), layer(x), rtol=1e-4, atol=1e-5)
