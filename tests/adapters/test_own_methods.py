"""Properties of CME's own methods beyond PEFT's behaviour: initialisation, settings and refused input."""

from dataclasses import fields

import pytest
import torch
from peft import PeftType, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from cme.errors import UsageError
from tests.adapters.conftest import layers, make_base, make_config
from tests.adapters.variants import OWN, ROUTED

every_own = pytest.mark.parametrize("method", OWN)
every_routed = pytest.mark.parametrize("method", ROUTED)

KAIMING = {"moslora": "AM", "moelora": "AW", "hydralora": "AW", "teamlora": "AS", "mola": "AW"}
KAIMING |= {"adamole": "AW", "comol": "AMW", "smora": "AW", "flylora": ""}
SHAPES = {
    "moslora": {"A": (3, 24), "B": (40, 3), "M": (3, 3)},
    "moelora": {"A": (12, 24), "B": (40, 12), "W": (4, 24)},
    "hydralora": {"A": (3, 24), "B": (40, 12), "W": (4, 24)},
    "teamlora": {"A": (12, 24), "B": (40, 12), "S": (4, 24), "M": (4, 4)},
    "mola": {"A": (12, 24), "B": (40, 12), "W": (4, 24)},
    "adamole": {"A": (12, 24), "B": (40, 12), "W": (5, 24), "T": (1,)},
    "comol": {"A": (3, 24), "B": (40, 3), "M": (4, 3, 3), "W": (4, 3)},
    "smora": {"A": (12, 24), "B": (40, 12), "W": (12, 24)},
    "flylora": {"B": (40, 12)},
}


@every_own
def test_the_start_is_as_published(adapted, method):
    for layer in layers(adapted(method, trained=False, r=32)):
        for letter in KAIMING[method]:
            weight = getattr(layer, f"{method}_{letter}")["default"]
            bound = weight.shape[-1] ** -0.5
            assert 0.7 * bound < weight.abs().max() <= bound
        assert not getattr(layer, f"{method}_B")["default"].any()


@every_own
def test_the_parameters_of_one_layer(adapted, method):
    layer = adapted(method).base_model.model.model.layers[0].mlp.up_proj
    shapes = {name: tuple(weight.shape) for name, weight in layer.named_parameters() if weight.requires_grad}
    assert shapes == {f"{method}_{letter}.default": shape for letter, shape in SHAPES[method].items()}


@every_routed
def test_dropout_never_hits_the_router(adapted, method):
    layer = layers(adapted(method, lora_dropout=0.5).train())[0]
    layer.record_gates = True
    x = torch.randn(40, 24)
    first, gates = layer(x), layer.gates["default"]
    assert not torch.equal(first, layer(x))
    assert torch.equal(gates, layer.gates["default"])


@every_own
def test_biases_can_be_trained(method):
    model = get_peft_model(make_base(mlp_bias=True), make_config(method, bias=f"{method}_only"))
    assert {name.split(".")[-2] for name, p in model.named_parameters() if p.requires_grad and "bias" in name} == {
        "base_layer"
    }


@every_own
def test_layers_can_be_chosen(adapted, method):
    model = adapted(method, target_modules=["up_proj"], layers_to_transform=[1])
    assert model.base_model.targeted_module_names == ["model.layers.1.mlp.up_proj"]
    model = adapted(method, exclude_modules=["down_proj"], modules_to_save=["lm_head"])
    assert len(layers(model)) == 4
    assert any("modules_to_save" in name for name, p in model.named_parameters() if p.requires_grad)


@every_own
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"r": 0}, "r must be at least 1"),
        ({"lora_dropout": 1.0}, "lora_dropout"),
        ({"target_modules": ".*up_proj", "layers_to_transform": [0]}, "layers_to_transform"),
        ({"experts": 0}, "experts must be"),
        ({"gate_scale": "expert"}, "gate_scale"),
    ],
)
def test_a_configuration_out_of_range_is_refused(method, fields, message):
    error = TypeError if method not in ROUTED and fields.keys() & {"experts", "gate_scale"} else ValueError
    with pytest.raises(error, match=message if error is ValueError else "unexpected keyword argument"):
        make_config(method, **fields)


@every_own
def test_every_field_has_a_help_text(method):
    for field in fields(PEFT_TYPE_TO_CONFIG_MAPPING[PeftType[method.upper()]]):
        if field.name not in ("base_model_name_or_path", "revision"):
            assert field.metadata.get("help"), field.name


@every_own
def test_other_layers_than_linear_are_refused(base, method):
    with pytest.raises(UsageError, match=f"{method.upper()} adapts .*embed_tokens is a Embedding"):
        get_peft_model(base, make_config(method, target_modules=["embed_tokens"]))


@every_own
def test_another_adapter_for_each_row_is_refused(adapted, tokens, method):
    with pytest.raises(UsageError, match=r"adapter_names .* works with LoRA only"):
        adapted(method)(input_ids=tokens, adapter_names=["default", "__base__"])
