"""The contents of a saved adapter's folder. Loading is tested in test_matrix_handling.py."""

import json

import pytest
import torch
from safetensors.torch import load_file

from cme.adapters import adapter_fingerprint
from tests.adapters.variants import OWN, every_method

LETTERS = {"moslora": "ABM", "moelora": "ABW", "hydralora": "ABW", "teamlora": "ABSM", "mola": "ABW"}
LETTERS |= {"adamole": "ABTW", "comol": "ABMW", "smora": "ABWb", "flylora": "ABb"}


@pytest.mark.parametrize(("method", "letters"), LETTERS.items(), ids=LETTERS)
def test_the_folder_holds_tensors_and_settings_only(adapted, tmp_path, method, letters):
    model = adapted(method)
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    keys = load_file(tmp_path / "adapter_model.safetensors")
    assert len(keys) == 2 * 3 * len(letters)
    assert {key.rpartition(".")[2] for key in keys} == {f"{method}_{letter}" for letter in letters}
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["peft_type"] == method.upper()
    assert config["target_modules"] == ["down_proj", "gate_proj", "up_proj"]


@pytest.mark.parametrize("method", OWN)
def test_the_card_says_how_to_load_it_once(adapted, tmp_path, method):
    model = adapted(method)
    for _ in range(2):
        model.save_pretrained(tmp_path)
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert lines.count("import cme") == 1
    assert "library_name: peft" in lines
    model.add_adapter("second", model.peft_config["default"])
    model.save_pretrained(tmp_path)
    assert "import cme" in (tmp_path / "second" / "README.md").read_text().splitlines()


@every_method
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
