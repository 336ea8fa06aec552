"""A mix whose files are no longer those of its manifest is refused before its rows are read."""

import pytest

from cme.adapters import AdapterSettings
from cme.errors import CMEError
from cme.models.load import load_tokenizer
from cme.training import train, train_grid
from cme.training.encode import Encoder
from cme.training.mix_rows import validation_split
from cme.training.tokens import check_waiting

from .conftest import ROWS, write_mix
from .test_resume import interrupted

LORA = AdapterSettings("lora", rank=2)


@pytest.fixture
def own_mix(tmp_path):
    return write_mix(tmp_path / "mix", [ROWS[:30], ROWS[30:60]], ROWS[120:])


def rewrite(mix, name):
    """Replace a file of a mix by one with other rows, and keep the manifest. Return what undoes it."""
    before = (mix / name).read_bytes()
    other = write_mix(mix.parent / "other", [ROWS[60:90], ROWS[90:120]], ROWS[100:110])
    (mix / name).write_bytes((other / name).read_bytes())
    return lambda: (mix / name).write_bytes(before)


@pytest.mark.parametrize("name", ["train/part-00001.parquet", "validation/part-00000.parquet"])
def test_a_run_on_a_changed_mix_is_refused_before_its_folder_is_claimed(settings, own_mix, tmp_path, name):
    given, out = settings(data=str(own_mix), steps=2), tmp_path / "run"
    undo = rewrite(own_mix, name)
    with pytest.raises(
        CMEError, match=rf"{name} has changed since the mix was built, .*Copy the mix again, or build it"
    ):
        train(given, LORA, out=out)
    assert not out.exists()
    undo()
    assert train(given, LORA, out=out).steps == 2


def test_several_changed_files_are_counted(own_mix, tmp_path):
    for name in ("train/part-00000.parquet", "train/part-00001.parquet"):
        rewrite(own_mix, name)
    with pytest.raises(CMEError, match=r"part-00000\.parquet and 1 more have changed since"):
        check_waiting(own_mix, ["train", "validation"], tmp_path / "work")


def test_a_grid_on_a_changed_mix_is_refused(settings, own_mix, tmp_path):
    rewrite(own_mix, "train/part-00000.parquet")
    with pytest.raises(CMEError, match="has changed since the mix was built"):
        train_grid(settings(data=str(own_mix), steps=2), LORA, [1e-3, 1e-2], out=tmp_path / "grid")
    assert not (tmp_path / "grid" / "lr-1e-03").exists()


def test_a_run_that_goes_on_does_not_read_the_mix_again(settings, own_mix, tmp_path, monkeypatch):
    """Its rows are encoded, so a change of the mix does not reach it, and no file is hashed."""
    given, out = settings(data=str(own_mix)), tmp_path / "run"
    interrupted(monkeypatch, given, LORA, out, step=7)
    rewrite(own_mix, "train/part-00000.parquet")
    monkeypatch.setattr("cme.training.unchanged.sha256_file", None)
    assert train(given, LORA, out=out).interruptions == 1
    with pytest.raises(CMEError, match="finished output"):
        train(given, LORA, out=out)


def test_measurements_on_validation_rows_refuse_a_changed_mix(base, own_mix):
    encoder = Encoder(load_tokenizer(base), "plain", 256)
    assert len(validation_split(own_mix, encoder)[0]) == 16
    rewrite(own_mix, "validation/part-00000.parquet")
    with pytest.raises(CMEError, match=r"validation/part-00000\.parquet has changed since the mix was built"):
        validation_split(own_mix, encoder)
