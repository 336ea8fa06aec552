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


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--how", "mean"), "--how"),
        (("--rank", "4"), "--rank"),
        (("--ridge", "0"), "--ridge"),
        (("--seed", "0"), "--seed"),
        (("--data", "mix"), "--data"),
        (("--format", "chat"), "--format"),
        (("--dtype", "bfloat16"), "--dtype"),
        (("--threads", "1"), "--threads"),
        (("--allow-missing",), "--allow-missing"),
        (("--measure", "--tier", "quick"), "--measure, --tier"),
    ],
)
def test_options_without_effect_are_refused_for_moslora(cme, saved, tmp_path, options, named):
    result = cme("export-lora", saved("moslora"), *options, "--out", tmp_path / "lora")
    assert result.exit_code == 2 and f"exactly its outputs. {named} would have no effect. Leave" in result.stderr
    assert not (tmp_path / "lora").exists()


def test_an_exact_export_takes_a_new_folder_only(cme, saved, tmp_path):
    """It is written at once and continues nothing, not even its own folder."""
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_model.safetensors").touch()
    result = cme("export-lora", saved("moslora"), "--out", tmp_path / "lora")
    assert result.exit_code == 2 and "exists and is not an empty folder. Choose a new folder" in result.stderr


def test_other_adapters_are_refused_in_one_message(cme, saved, tmp_path):
    result = cme("export-lora", saved("hydralora"), "--out", tmp_path / "out")
    assert result.exit_code == 2 and "Choose how it is approximated with --how: mean" in result.stderr
    result = cme("export-lora", saved("lora"), "--how", "mean", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "already is a plain LoRA adapter" in result.stderr
    assert not (tmp_path / "out").exists()
