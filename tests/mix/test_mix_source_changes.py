"""A build that continues says so when its source is no longer the one that it began with."""

import shutil
from dataclasses import replace
from importlib import import_module

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.data.sources import open_source
from cme.data.sources.pins import pin_of
from cme.errors import CMEError, DataError, UsageError
from cme.files import sha256_file
from cme.mix import BuildSettings, build
from cme.suite import dataset
from tests.mix.conftest import _pairs


def write(file, rows, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file, **options)


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    write(folder / "qqp/train.parquet", _pairs("river", 400))
    write(folder / "qqp/validation.parquet", _pairs("lake", 20))
    return folder


@pytest.fixture
def made(mirror, tmp_path):
    return BuildSettings(source=str(mirror), datasets=("qqp",), size=300, out=tmp_path / "mix", workers=1)


@pytest.fixture
def stopped(made, monkeypatch):
    """Builds that are stopped at a place."""

    def stop(module, name):
        def interrupted(*args, **kwargs):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(import_module(f"cme.mix.{module}"), name, interrupted)
            build(made)

    return stop


@pytest.mark.parametrize(
    ("module", "name"),
    [("collect_train", "_collect_piece"), ("write", "_write_shard"), ("build", "heat_map")],
    ids=["after the plan", "after the rows were read", "before the manifest"],
)
@pytest.mark.parametrize("file", ["qqp/train.parquet", "qqp/validation.parquet"])
def test_a_replaced_file_is_refused(file, module, name, stopped, made, mirror):
    stopped(module, name)
    before = sha256_file(mirror / file)
    write(mirror / file, _pairs("forest", 400))
    with pytest.raises(UsageError, match=f"{file} is {sha256_file(mirror / file)[:16]} now and was {before[:16]} then"):
        build(made)
    assert not (made.out / "manifest.json").exists()


def test_the_old_file_put_back_continues(stopped, made, mirror, tmp_path):
    stopped("collect_train", "_collect_piece")
    kept = shutil.copy(mirror / "qqp/train.parquet", tmp_path / "kept")
    write(mirror / "qqp/train.parquet", _pairs("forest", 400))
    with pytest.raises(UsageError, match="Put the old data back"):
        build(made)
    # Another time of change and another inode, but the same content.
    shutil.copy(kept, mirror / "qqp/train.parquet")
    manifest = build(made)
    assert manifest.datasets["qqp"].provenance["qqp/train.parquet"] == sha256_file(mirror / "qqp/train.parquet")


def test_a_file_of_the_same_size_and_time_is_refused(stopped, made, mirror):
    import os

    stopped("collect_train", "_collect_piece")
    file = mirror / "qqp/train.parquet"
    before = file.stat()
    data = bytearray(file.read_bytes())
    place = data.find(b"river 399") if b"river 399" in data else len(data) // 3
    data[place] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    with pytest.raises(UsageError, match="the source has changed"):
        build(made)


def test_one_file_cut_into_shards_is_refused(stopped, made, mirror):
    stopped("collect_train", "_collect_piece")
    table = pq.read_table(mirror / "qqp/train.parquet")
    (mirror / "qqp/train.parquet").unlink()
    for number in range(2):
        pq.write_table(table.slice(200 * number, 200), mirror / f"qqp/train-{number:05}-of-00002.parquet")
    with pytest.raises(UsageError, match="is not one of its files any more"):
        build(made)


def test_a_file_that_is_replaced_while_it_is_read_is_refused(made, mirror, monkeypatch):
    module = import_module("cme.mix.collect_train")
    rows_of = module.rows_of

    def replaced(*args):
        rows = list(rows_of(*args))
        write(mirror / "qqp/train.parquet", _pairs("forest", 400))
        return iter(rows)

    monkeypatch.setattr(module, "rows_of", replaced)
    with pytest.raises(DataError, match=r"train\.parquet was changed while it was being read"):
        build(made)


def test_provenance_is_of_what_was_read(mirror):
    spec = dataset("qqp")
    source = open_source(str(mirror))
    source.table(spec, spec.subsets[0], "validation")
    write(mirror / "qqp/validation.parquet", _pairs("forest", 20))
    with pytest.raises(DataError, match=r"validation\.parquet was changed while it was being read"):
        source.provenance(spec)


def test_a_file_that_is_gone_has_no_pin(tmp_path):
    with pytest.raises(CMEError, match="cannot be read any more"):
        pin_of(tmp_path / "x")


def test_another_commit_of_the_hub_is_refused(made, plain_rows, fake_source, monkeypatch):
    class Hub(type(fake_source(plain_rows))):
        revision = "a" * 40

        def provenance(self, spec):
            return {"revision": self.revision}

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    settings = replace(made, source="mini")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(import_module("cme.mix.collect_train"), "_collect_piece", interrupted)
        build(settings, source=Hub(plain_rows))
    moved = Hub(plain_rows)
    moved.revision = "b" * 40
    with pytest.raises(UsageError, match=f"revision is {'b' * 16} now and was {'a' * 16} then"):
        build(settings, source=moved)
    assert build(settings, source=Hub(plain_rows)).datasets["qqp"].provenance == {"revision": "a" * 40}
