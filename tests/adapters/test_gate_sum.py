"""The sum of the gate weights, and artefacts that were stored with its former name ``gate_scale``.

The folder ``saved`` was written by CME before ``gate_sum`` existed (commit 8046821). It contains adapters on the tiny base of
conftest.py with their logits and fingerprints, and settings with the digests that identify output folders.
"""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from cme.adapters import (
    AdapterSettings,
    adapter_fingerprint,
    build_config,
    load_adapter,
    settings_from,
    settings_to_mapping,
)
from cme.adapters.read_settings import identity_of
from cme.errors import UsageError
from cme.files import digest
from tests.adapters.conftest import layers, logits, make_base, make_config
from tests.adapters.oracle import as_loop
from tests.adapters.variants import BALANCED

SAVED = Path(__file__).parent / "saved"
EXPECTED = json.loads((SAVED / "expected.json").read_text())
SETTINGS = json.loads((SAVED / "settings.json").read_text())
SCALES = {"teamlora-1": 1, "teamlora-half": 0.5, "teamlora-experts": 2, "moelora-2": 2, "hydralora-1": 1}
TOKENS = torch.arange(3, 21).view(2, 9)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("load", [load_adapter, PeftModel.from_pretrained], ids=["cme", "peft"])
def test_adapters_saved_before_give_the_same_logits(name, load, tmp_path):
    model = load(make_base(), SAVED / name)
    assert logits(model, TOKENS)[0, -1].tolist() == pytest.approx(EXPECTED[name]["logits"], abs=2e-5)
    assert {layer.plans["default"].scaling for layer in layers(model)} == {6 * SCALES[name]}
    torch.testing.assert_close(
        logits(as_loop(model), TOKENS)[0, -1].tolist(), EXPECTED[name]["logits"], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_adapters_saved_before_are_saved_again_as_they_were(name, tmp_path):
    """They keep their fingerprints, which identify them in the rows of committed boards."""
    load_adapter(make_base(), SAVED / name).save_pretrained(tmp_path)
    before, after = (json.loads((folder / "adapter_config.json").read_text()) for folder in (SAVED / name, tmp_path))
    assert {**after, "base_model_name_or_path": None} == before
    assert adapter_fingerprint(SAVED / name) == EXPECTED[name]["fingerprint"]


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_stored_before_keep_their_meaning_and_their_digest(name):
    stored = SETTINGS[name]["mapping"]
    settings = settings_from(stored)
    assert settings_to_mapping(settings) == stored and settings.gate_scale == stored["gate_scale"]
    assert digest(identity_of(settings)) == SETTINGS[name]["digest"]
    scale = {"experts": 4}.get(stored["gate_scale"], stored["gate_scale"])
    assert build_config(settings, make_base()).scaling == 2 * scale


@pytest.mark.parametrize(
    ("name", "now"),
    [
        ("teamlora", {"method": "teamlora", "gate_sum": 1}),
        ("teamlora-experts", {"method": "teamlora", "gate_sum": "experts"}),
        ("moelora", {"method": "moelora"}),
        ("hydralora", {"method": "hydralora", "gate_sum": "1"}),
    ],
)
def test_a_folder_left_unfinished_before_is_continued_with_the_same_settings_of_now(name, now):
    assert digest(identity_of(settings_from(now))) == SETTINGS[name]["digest"]


def test_the_defaults():
    sums = {name: settings_from({"method": name}).gate_sum for name in ("teamlora", "moelora", "hydralora", "lora")}
    assert sums == {"teamlora": "free", "moelora": 1, "hydralora": 1, "lora": None}
    assert settings_to_mapping(AdapterSettings("teamlora"))["gate_sum"] == "free"
    assert "gate_scale" not in settings_to_mapping(settings_from({"method": "teamlora"}))
    assert build_config(AdapterSettings("teamlora"), make_base()).gate_sum == "free"
    assert digest(identity_of(settings_from({"method": "teamlora"}))) != SETTINGS["teamlora"]["digest"]


@pytest.mark.parametrize("method", BALANCED)
@pytest.mark.parametrize("total", ["free", 1, "experts"])
def test_saved_and_loaded(adapted, tokens, tmp_path, method, total):
    model = adapted(method, gate_sum=total)
    model.save_pretrained(tmp_path)
    values = json.loads((tmp_path / "adapter_config.json").read_text())
    assert values["gate_sum"] == total and "gate_scale" not in values and "balance_form" not in values
    assert torch.equal(logits(load_adapter(make_base(), tmp_path), tokens), logits(model, tokens))


@pytest.mark.parametrize("total", [0, 2, "2", True, 0.5, "expert"])
def test_another_sum_is_refused(total):
    with pytest.raises(UsageError, match=r"gate_sum: (must be free, 1 or experts|expected int or)"):
        settings_from({"method": "teamlora", "gate_sum": total})
    with pytest.raises(ValueError, match="gate_sum must be 'free', 1 or 'experts'"):
        make_config("teamlora", gate_sum=total)


def test_free_is_refused_where_gate_weights_sum_to_one_by_definition():
    """It would have no effect, but stand in the records."""
    for method in ("mola", "adamole", "comol", "moelora", "hydralora"):
        with pytest.raises(UsageError, match=f"gate_sum: free has no effect in {method}, .* .give 1 or experts"):
            settings_from({"method": method, "gate_sum": "free"})
        assert settings_from({"method": method, "gate_sum": "experts"}).gate_sum == "experts"
    assert settings_from({"method": "teamlora", "gate_sum": "free"}).gate_sum == "free"


def test_both_names_at_once_are_refused():
    with pytest.raises(UsageError, match=r"gate_sum and .*gate_scale are both given"):
        settings_from({"method": "teamlora", "gate_sum": 1, "gate_scale": 1.0})
    with pytest.raises(ValueError, match=r"gate_sum and .*gate_scale are both given"):
        make_config("teamlora", gate_sum=1, gate_scale=1.0)


def test_a_form_of_the_balance_term():
    assert (
        settings_to_mapping(settings_from({"method": "teamlora", "balance_form": "released"}))["balance_form"]
        == "released"
    )
    assert "balance_form" not in settings_to_mapping(settings_from({"method": "moelora"}))
    with pytest.raises(UsageError, match="balance_form: must be centred, released or switch, found 'old'"):
        settings_from({"method": "teamlora", "balance_form": "old"})
    with pytest.raises(ValueError, match="balance_form must be"):
        make_config("teamlora", balance_form="old")
