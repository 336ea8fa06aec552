"""``cme export-lora``."""

import json

import pytest
from peft import PeftConfig, get_peft_model

from tests.adapters.conftest import make_base, make_config


@pytest.fixture
def saved(tmp_path):
    def make(method):
        get_peft_model(make_base(), make_config(method)).save_pretrained(tmp_path / method)
        return tmp_path / method

    return make


def test_a_moslora_adapter_becomes_a_lora_adapter(cme, saved, tmp_path):
    result = cme("export-lora", saved("moslora"), "--out", tmp_path / "lora")
    assert result.exit_code == 0 and str(tmp_path / "lora") in result.stdout
    assert PeftConfig.from_pretrained(str(tmp_path / "lora")).peft_type == "LORA"
    result = cme("export-lora", saved("moslora"), "--out", tmp_path / "again", "--json")
    assert json.loads(result.stdout) == {"folder": str(tmp_path / "again")}


def test_other_adapters_are_refused_in_one_message(cme, saved, tmp_path):
    result = cme("export-lora", saved("hydralora"), "--out", tmp_path / "out")
    assert result.exit_code == 2 and "Choose how it is approximated with --how: mean" in result.stderr
    result = cme("export-lora", saved("lora"), "--how", "mean", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "already is a plain LoRA adapter" in result.stderr
    assert not (tmp_path / "out").exists()
