"""Saved and loaded by stock PEFT and transformers."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from cme.adapters import adapter_fingerprint
from tests.adapters.conftest import logits, make_base


@pytest.mark.parametrize("fields", [{}, {"collaboration": False, "router_hidden": 5}, {"competition": False}])
@pytest.mark.parametrize("name", ["default", "other"])
@pytest.mark.parametrize("low", [False, True])
def test_loading_gives_the_same_outputs_under_any_name(adapted, tokens, tmp_path, fields, name, low):
    model = adapted(**fields)
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(make_base(), tmp_path, adapter_name=name, low_cpu_mem_usage=low)
    assert torch.equal(logits(again, tokens), logits(model, tokens))
    assert not any(weight.is_meta for weight in again.parameters())


def test_the_folder_holds_tensors_and_settings_only(adapted, tmp_path):
    model = adapted()
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    keys = load_file(tmp_path / "adapter_model.safetensors")
    assert len(keys) == 2 * 3 * 4
    assert {key.rpartition(".")[2] for key in keys} == {f"teamlora_{letter}" for letter in "ABSM"}
    assert json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"] == [
        "down_proj",
        "gate_proj",
        "up_proj",
    ]


def test_the_card_says_how_to_load_it_once(adapted, tmp_path):
    model = adapted()
    for _ in range(2):
        model.save_pretrained(tmp_path)
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert lines.count("import cme") == 1
    assert "library_name: peft" in lines
    model.add_adapter("second", model.peft_config["default"])
    model.save_pretrained(tmp_path)
    assert "import cme" in (tmp_path / "second" / "README.md").read_text().splitlines()


def test_transformers_loads_it_without_peft_model(adapted, tokens, tmp_path):
    model = adapted()
    model.save_pretrained(tmp_path)
    base = make_base()
    report = base.load_adapter(str(tmp_path))
    assert not report.missing_keys and not report.unexpected_keys
    assert torch.equal(logits(base, tokens), logits(model, tokens))


def test_modules_to_save_come_along(adapted, tokens, tmp_path):
    model = adapted(modules_to_save=["lm_head"])
    with torch.no_grad():
        model.base_model.model.lm_head.modules_to_save["default"].weight.mul_(2)
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(make_base(), tmp_path)
    assert torch.equal(logits(again, tokens), logits(model, tokens))


@pytest.mark.parametrize("method", ["lora", "teamlora"])
def test_the_fingerprint_is_of_content(adapted, tmp_path, method):
    model = adapted(method)
    for folder in ("one", "two"):
        model.save_pretrained(tmp_path / folder)
    config = tmp_path / "two" / "adapter_config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"target_modules": values["target_modules"][::-1]}))
    one = adapter_fingerprint(tmp_path / "one")
    assert len(one) == 64 and one == adapter_fingerprint(tmp_path / "two")
    config.write_text(json.dumps(values | {"lora_alpha": 99}))
    assert adapter_fingerprint(tmp_path / "two") != one
    with torch.no_grad():
        next(weight for weight in model.parameters() if weight.requires_grad).add_(1)
    model.save_pretrained(tmp_path / "two")
    assert adapter_fingerprint(tmp_path / "two") != one
