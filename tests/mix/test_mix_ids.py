"""A mix that is built again from its row ids: the same bytes from any source with the same rows, one message else."""

import json
import shutil
from dataclasses import replace
from importlib import import_module

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cme
from cme.errors import CMEError, SourceError, UsageError
from cme.mix import BuildSettings, build
from cme.mix.rebuild import RebuildSettings, rebuild
from tests.hub_rows import HAND_ROWS
from tests.mix.conftest import _pairs


def write(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file)


def data_files(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.glob("*/*.parquet")}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A mix of two datasets with a validation split, in several shards, and its row ids."""
    home = tmp_path_factory.mktemp("ids")
    write(home / "data/qqp/train.parquet", _pairs("river", 400))
    write(home / "data/qqp/validation.parquet", _pairs("lake", 20))
    write(home / "data/rte/train.parquet", [dict(row) for row in HAND_ROWS["rte/train"]])
    write(home / "data/rte/validation.parquet", [dict(row) for row in HAND_ROWS["rte/validation"]])
    settings = BuildSettings(
        source=f"sample={home / 'data'}", datasets=("qqp", "rte"), size=200, seed=3, out=home / "mix", rows_per_shard=60,
        validation_share=0.1, prompt_variant_share=0.7, layout="chat", allow_missing=True,
    )  # fmt: skip
    build(settings)
    cme.write_ids(home / "mix", home / "ids.parquet")
    return home


@pytest.fixture
def other(first, tmp_path):
    """Another source with the same rows among others, in other files and another order."""
    more = [*_pairs("forest", 150), *reversed(_pairs("river", 400))]
    folder = tmp_path / "other"
    for number in range(2):
        write(folder / f"qqp/train-{number:05}-of-00002.parquet", more[275 * number : 275 * (number + 1)])
    shutil.copytree(first / "data/rte", folder / "rte")
    return folder


def again(first, source, out, **changes):
    return RebuildSettings(source=str(source), ids=first / "ids.parquet", out=out, **changes)


def test_the_bytes_and_the_fingerprint_are_those_of_the_first_mix(first, other, tmp_path):
    manifest = rebuild(again(first, other, tmp_path / "mix"))
    assert data_files(tmp_path / "mix") == data_files(first / "mix")
    assert len(data_files(first / "mix")) > 4
    before = cme.load_mix(first / "mix", split="train")
    assert cme.load_mix(tmp_path / "mix", split="train").to_list() == before.to_list()
    original = json.loads((first / "mix/manifest.json").read_text())
    assert manifest.fingerprint == original["fingerprint"] and manifest.source == "sample"
    assert manifest.rebuilt.source == "other" and manifest.rebuilt.ids
    assert manifest.rebuilt.fingerprint == manifest.fingerprint
    assert "qqp/train-00000-of-00002.parquet" in manifest.rebuilt.provenance["qqp"]
    assert cme.verify_mix(tmp_path / "mix").problems == ()
    card = (tmp_path / "mix/README.md").read_text()
    assert "cme build-data --source other --ids ids.parquet --out DIR" in card and "source `sample`" in card


def test_ids_hold_no_text_and_are_the_same_for_both_mixes(first, other, tmp_path):
    rebuild(again(first, other, tmp_path / "mix"))
    cme.write_ids(tmp_path / "mix", tmp_path / "ids.parquet")
    assert (tmp_path / "ids.parquet").read_bytes() == (first / "ids.parquet").read_bytes()
    table = pq.read_table(first / "ids.parquet")
    assert table.column_names == ["dataset", "split", "id", "content"]
    assert b"river" not in (first / "ids.parquet").read_bytes()
    assert set(table["split"].to_pylist()) == {"train", "validation"}


def test_missing_and_changed_rows_are_counted_in_one_message(first, other, tmp_path):
    table = pq.read_table(first / "ids.parquet", filters=[("dataset", "==", "qqp"), ("split", "==", "train")])
    wanted = set(table["id"].to_pylist())
    rows = _pairs("river", 400)
    ids = dict(zip((row_id(row) for row in rows), rows, strict=True))
    lost, changed = sorted(wanted)[:2], sorted(wanted)[2]
    ids[changed]["label"] = 1 - ids[changed]["label"]
    for file in (other / "qqp").iterdir():
        file.unlink()
    write(other / "qqp/train.parquet", [row for key, row in ids.items() if key not in lost])
    settings = again(first, other, tmp_path / "mix")
    with pytest.raises(SourceError) as caught:
        rebuild(settings)
    text = str(caught.value)
    assert "2 are missing (qqp: 2; the first: qqp " in text and lost[0] in text and lost[1] in text
    assert f"1 have another content (qqp: 1; the first: qqp {changed})" in text
    assert str(other) in text and "--allow-missing" in text
    manifest = rebuild(replace(settings, allow_missing=True))
    assert manifest.rows == 200 - 3
    assert manifest.rebuilt.fingerprint != manifest.fingerprint
    assert manifest.datasets["qqp"].missing[-1] == "3 rows of the row ids"
    kept = cme.load_mix(tmp_path / "mix", split="train", columns=["id"])["id"]
    before = cme.load_mix(first / "mix", split="train", columns=["id"])["id"]
    assert list(kept) == [row for row in before if row not in (*lost, changed)]


def row_id(row):
    from cme.data.load import normalise_all
    from cme.suite import dataset

    (example,) = normalise_all([row], dataset("qqp")).examples
    return example.id


def test_an_interrupted_build_continues(first, other, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    settings = again(first, other, tmp_path / "mix")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(import_module("cme.mix.write"), "_write_shard", interrupted)
        rebuild(settings)
    rebuild(settings)
    assert data_files(tmp_path / "mix") == data_files(first / "mix")


def test_a_mix_of_the_mini_corpus(tmp_path):
    mix = cme.build_mix(tmp_path / "mix", source="mini:graded", size=300, datasets="rte,squad_v2", workers=1)
    cme.write_ids(mix, tmp_path / "ids.parquet")
    again = cme.build_mix(tmp_path / "again", source="mini:graded", ids=tmp_path / "ids.parquet", workers=1)
    assert data_files(again.folder) == data_files(mix.folder)
    assert again.fingerprint == mix.fingerprint
    with pytest.raises(
        SourceError, match=r"the mini corpus does not have all .* rows of .*ids\.parquet: .* are missing"
    ):
        cme.build_mix(tmp_path / "third", source="mini:seed=5", ids=tmp_path / "ids.parquet", workers=1)


def test_bad_input(first, tmp_path):
    with pytest.raises(UsageError, match=r"size, seed, format cannot be combined with ids"):
        cme.build_mix(tmp_path / "x", source="mini", size=5, seed=1, layout="chat", ids=first / "ids.parquet")
    with pytest.raises(CMEError, match=r"no\.parquet does not exist\. Make a file of row ids with 'cme ids'"):
        cme.build_mix(tmp_path / "x", source="mini", ids=tmp_path / "no.parquet")
    cases = {
        "columns": (pa.table({"dataset": ["qqp"]}), "has no column 'id'"),
        "types": (pa.table({"dataset": ["qqp"], "id": [1]}), "column 'id' has the type int64, not text"),
        "empty": (pa.table({"dataset": pa.array([], pa.string()), "id": pa.array([], pa.string())}), "has no rows"),
        "twice": (pa.table({"dataset": ["qqp"] * 2, "id": ["a"] * 2}), "names the row 'a' of 'qqp' twice"),
        "split": (pa.table({"dataset": ["qqp"], "id": ["a"], "split": ["dev"]}), "split 'dev' is not one of"),
        "plain": (pa.table({"dataset": ["qqp"], "id": ["a"]}), "has no ids of a mix"),
    }
    for name, (table, problem) in cases.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        with pytest.raises(CMEError, match=problem):
            cme.build_mix(tmp_path / "x", source="mini", ids=tmp_path / f"{name}.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(CMEError, match=r"text\.parquet cannot be read as Parquet"):
        cme.build_mix(tmp_path / "x", source="mini", ids=tmp_path / "text.parquet")
    cut = pq.read_table(first / "ids.parquet").slice(1)
    pq.write_table(cut, tmp_path / "cut.parquet")
    with pytest.raises(CMEError, match="its rows are not those of the manifest in it"):
        cme.build_mix(tmp_path / "x", source="mini", ids=tmp_path / "cut.parquet")
    assert not (tmp_path / "x").exists()


def test_ids_of_other_task_files_are_refused(first, tmp_path):
    table = pq.read_table(first / "ids.parquet")
    head = json.loads(table.schema.metadata[b"cme"])
    head["mix"]["manifest"]["task_fingerprints"]["qqp"] = "0" * 64
    pq.write_table(table.replace_schema_metadata({b"cme": json.dumps(head).encode()}), tmp_path / "ids.parquet")
    with pytest.raises(UsageError, match="built with other task files of qqp than those of this CME"):
        rebuild(RebuildSettings(source="mini", ids=tmp_path / "ids.parquet", out=tmp_path / "x"))
