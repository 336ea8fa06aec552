"""MoSLoRA is merged into the base and exported to plain LoRA."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from cme.adapters.moslora import MosLoraConfig, MosLoraLinear, export_lora
from cme.errors import AdapterError, UsageError
from tests.adapters.conftest import layers, logits, make_base, randomise


def trained_layer(dtype=torch.float32):
    torch.manual_seed(0)
    config = MosLoraConfig(r=3, lora_alpha=6, init_weights=False)
    return MosLoraLinear(torch.nn.Linear(7, 5, dtype=dtype), "default", config)


def test_the_change_of_weight_by_hand():
    layer = trained_layer()
    parts = (layer.moslora_B, layer.moslora_M, layer.moslora_A)
    expected = 2 * torch.linalg.multi_dot([container["default"].double() for container in parts])
    torch.testing.assert_close(layer.get_delta_weight("default"), expected.float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_merging_rounds_once_and_keeps_the_type(dtype):
    layer = trained_layer(dtype)
    expected = (layer.base_layer.weight.double() + layer.get_delta_weight("default").double()).to(dtype)
    layer.merge(safe_merge=True)
    assert layer.base_layer.weight.dtype == dtype and layer.merged
    torch.testing.assert_close(layer.base_layer.weight, expected, rtol=1e-6, atol=torch.finfo(dtype).eps / 10)
    x = torch.randn(2, 7, dtype=dtype)
    assert torch.equal(layer(x), layer.base_layer(x))


def test_a_merge_that_is_not_finite_is_refused_and_changes_nothing():
    layer = trained_layer()
    before = layer.base_layer.weight.clone()
    with torch.no_grad():
        layer.moslora_M["default"][0, 0] = float("nan")
    with pytest.raises(AdapterError, match="'default' gives a weight that is not finite"):
        layer.merge(safe_merge=True)
    assert torch.equal(layer.base_layer.weight, before) and not layer.merged


def test_merging_twice_and_unmerging_nothing_warn(adapted):
    model = adapted("moslora")
    with pytest.warns(UserWarning, match="nothing to unmerge"):
        layers(model)[0].unmerge()
    model.merge_adapter()
    weight = layers(model)[0].base_layer.weight.clone()
    with pytest.warns(UserWarning, match="already merged"):
        model.merge_adapter()
    assert torch.equal(layers(model)[0].base_layer.weight, weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_exported_it_is_plain_lora_with_the_same_outputs(adapted, tokens, tmp_path, dtype):
    model = get_peft_model(
        make_base().to(dtype), MosLoraConfig(r=3, lora_alpha=6, task_type="CAUSAL_LM"), autocast_adapter_dtype=False
    )
    randomise(model)
    before = logits(model.eval(), tokens)
    model.save_pretrained(tmp_path / "moslora")
    export_lora(tmp_path / "moslora", tmp_path / "lora")
    tensors = load_file(tmp_path / "lora" / "adapter_model.safetensors")
    assert {key.split(".", 7)[-1] for key in tensors} == {"lora_A.weight", "lora_B.weight"}
    assert {tensor.dtype for tensor in tensors.values()} == {dtype}
    plain = PeftModel.from_pretrained(make_base().to(dtype), tmp_path / "lora", autocast_adapter_dtype=False)
    assert type(plain.peft_config["default"]) is LoraConfig
    error = (logits(plain, tokens) - before).abs().max()
    assert error <= (1e-5 if dtype == torch.float32 else 0.05) * before.abs().max()


def test_an_export_keeps_the_settings_and_what_was_saved_along(adapted, tokens, tmp_path):
    fields = {
        "base": make_base(mlp_bias=True),
        "r": 2,
        "lora_alpha": 5,
        "lora_dropout": 0.25,
        "target_modules": ["up_proj", "q_proj"],
        "exclude_modules": ["nothing"],
        "layers_to_transform": [1],
        "modules_to_save": ["lm_head"],
        "bias": "moslora_only",
    }
    model = adapted("moslora", **fields)
    with torch.no_grad():
        model.base_model.model.lm_head.modules_to_save["default"].weight.mul_(2)
        layers(model)[1].base_layer.bias.add_(1)
    model.save_pretrained(tmp_path / "moslora")
    export_lora(tmp_path / "moslora", tmp_path / "lora")
    plain = PeftModel.from_pretrained(make_base(mlp_bias=True), tmp_path / "lora")
    config = plain.peft_config["default"]
    for name in fields.keys() - {"base", "bias", "target_modules", "exclude_modules"}:
        assert getattr(config, name) == fields[name], name
    assert config.target_modules == {"up_proj", "q_proj"} and config.exclude_modules == {"nothing"}
    assert config.bias == "lora_only" and config.task_type == "CAUSAL_LM"
    torch.testing.assert_close(logits(plain, tokens), logits(model, tokens), rtol=0, atol=1e-5)


def test_what_cannot_be_exported(adapted, tmp_path):
    adapted("teamlora").save_pretrained(tmp_path / "team")
    with pytest.raises(AdapterError, match=r"holds a TEAMLORA adapter\. Only MOSLORA"):
        export_lora(tmp_path / "team", tmp_path / "out")
    with pytest.raises(AdapterError, match=r"the adapter folder .* does not exist"):
        export_lora(tmp_path / "nowhere", tmp_path / "out")
    adapted("moslora").save_pretrained(tmp_path / "mos")
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        export_lora(tmp_path / "mos", tmp_path / "team")
    weights = tmp_path / "mos" / "adapter_model.safetensors"
    tensors = load_file(weights)
    mixer = next(key for key in tensors if key.endswith("moslora_M"))
    save_file({key: tensor for key, tensor in tensors.items() if key != mixer}, weights)
    with pytest.raises(AdapterError, match="moslora_M"):
        export_lora(tmp_path / "mos", tmp_path / "out")
    assert not (tmp_path / "out").exists()
