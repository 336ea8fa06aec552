"""A mix from a named source: the name is recorded, the folder may move, and other rows under the same name are refused."""

import shutil
from dataclasses import replace
from importlib import import_module

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.errors import UsageError
from cme.mix import BuildSettings, build
from tests.mix.conftest import _pairs


def write(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file)


@pytest.fixture
def made(tmp_path):
    write(tmp_path / "here/qqp/train.parquet", _pairs("river", 400))
    write(tmp_path / "here/qqp/validation.parquet", _pairs("lake", 20))
    source = f"sample={tmp_path / 'here'}"
    return BuildSettings(source=source, datasets=("qqp",), size=300, out=tmp_path / "mix", workers=1)


@pytest.fixture
def stopped(made, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(import_module("cme.mix.collect_train"), "_collect_piece", interrupted)
        build(made)


def test_the_name_is_recorded_and_the_path_is_not(made, tmp_path):
    manifest = build(made)
    assert manifest.source == "sample"
    shutil.rmtree(made.out / ".work", ignore_errors=True)
    card = (made.out / "README.md").read_text()
    assert "--source sample=DIR" in card
    for file in (made.out / "manifest.json", made.out / "README.md"):
        assert str(tmp_path) not in file.read_text()


def test_the_folder_may_move_while_a_build_is_unfinished(made, stopped, tmp_path):
    (tmp_path / "here").rename(tmp_path / "there")
    moved = replace(made, source=f"sample={tmp_path / 'there'}")
    continued = build(moved)
    assert continued == build(replace(moved, out=tmp_path / "whole"))


def test_other_rows_under_the_same_name_are_refused(made, stopped, tmp_path):
    write(tmp_path / "there/qqp/train.parquet", _pairs("forest", 400))
    write(tmp_path / "there/qqp/validation.parquet", _pairs("lake", 20))
    with pytest.raises(UsageError, match=r"the source has changed since this build began: qqp/train.parquet is"):
        build(replace(made, source=f"sample={tmp_path / 'there'}"))


def test_another_name_is_another_source(made, stopped, tmp_path):
    with pytest.raises(UsageError, match=r"source: 'sample' there, 'other' now"):
        build(replace(made, source=f"other={tmp_path / 'here'}"))
