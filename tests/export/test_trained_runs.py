"""Exports of runs that ``cme train`` wrote: their mix, base and prompt format come from the run."""

import json
import shutil

import pytest

import cme
from cme.errors import CMEError, UsageError


@pytest.fixture(scope="module")
def trained(tiny_base, mix, tmp_path_factory):
    """A TeamLoRA that ``cme train`` wrote, whose run record names a copy of the mix."""
    home = tmp_path_factory.mktemp("trained")
    shutil.copytree(mix, home / "mix")
    settings = {
        "method": "teamlora",
        "rank": 2,
        "steps": 3,
        "batch_size": 4,
        "lr": 0.01,
        "dtype": "float32",
        "threads": 1,
    }
    return cme.train(
        home / "run", data=home / "mix", base=str(tiny_base), max_length=200, prompt_format="chat", **settings
    )


def test_a_run_names_its_base_its_mix_and_its_prompt_format(trained, mix, tmp_path):
    exported = cme.export_lora(trained, tmp_path / "out", how="mean")
    record = exported.record
    assert (record.prompt_format, record.base) == ("chat", trained.record.base)
    assert (record.name, record.mix_fingerprint) == ("run", trained.record.mix_fingerprint)
    elsewhere = cme.export_lora(trained, tmp_path / "elsewhere", how="mean", data=mix)
    assert elsewhere.record.exports == record.exports
    other = cme.export_lora(trained, tmp_path / "plain", how="mean", prompt_format="plain")
    assert other.record.gates != record.gates


def test_another_mix_than_that_of_the_training_is_used_with_a_warning(trained, mix, tmp_path):
    from cme.errors import CMEWarning

    shutil.copytree(mix, tmp_path / "mix")
    values = json.loads((mix / "manifest.json").read_text())
    (tmp_path / "mix" / "manifest.json").write_text(json.dumps(values | {"fingerprint": "other"}))
    with pytest.warns(CMEWarning, match="is not the mix with which .* was trained"):
        exported = cme.export_lora(trained, tmp_path / "out", how="mean", data=tmp_path / "mix")
    assert exported.record.mix_fingerprint == "other"


def test_a_mix_that_moved_is_named_in_the_message(trained, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(trained.folder, run)
    values = json.loads((run / "run.json").read_text())
    values["training"]["data"] = str(tmp_path / "moved")
    (run / "run.json").write_text(json.dumps(values))
    monkeypatch.setattr("cme.export.run.load_model", None)
    with pytest.raises(UsageError, match=r"the mix .*moved, which the run.json of .* names, does not exist here"):
        cme.export_lora(run, tmp_path / "out", how="mean")


def test_a_base_that_the_adapter_was_not_trained_on_is_refused(trained, tmp_path):
    from tests.adapters.conftest import make_base
    from tests.tiny import tiny_tokenizer

    make_base(vocab_size=400).save_pretrained(tmp_path / "base")
    tiny_tokenizer().save_pretrained(tmp_path / "base")
    with pytest.raises(CMEError, match="was not trained on"):
        cme.export_lora(trained, tmp_path / "out", how="mean", base=str(tmp_path / "base"))
    assert not (tmp_path / "out").exists()
