"""Files of an unfinished build that are lost or damaged are made again; none of them ends up in the mix."""

import shutil
from importlib import import_module

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.errors import CMEError
from cme.mix import build, check_only

STOPS = {"decided": ("write", "_write_shard"), "written": ("build", "heat_map")}
"""Where the build is stopped, before this function is called for the first time."""


def cut_short(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file):
    file.write_bytes(b"")


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def lose(file):
    file.unlink()


def swap(file):
    """Another whole file in its place: nothing but its content tells."""
    other = next(item for item in sorted(file.parent.glob(f"*{file.suffix}")) if item != file)
    shutil.copyfile(other, file)


@pytest.fixture
def stopped(plain_rows, fake_source, settings, monkeypatch):
    """Stop a build; gives its settings."""

    def stop(where, **changes):
        module, name = STOPS[where]

        def interrupted(*args, **kwargs):
            raise KeyboardInterrupt

        made = settings(size=300, rows_per_shard=100, **changes)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(import_module(f"cme.mix.{module}"), name, interrupted)
            build(made, source=fake_source(plain_rows))
        return made

    return stop


@pytest.fixture
def undisturbed(plain_rows, fake_source, settings, tree):
    made = settings(out="undisturbed", size=300, rows_per_shard=100)
    build(made, source=fake_source(plain_rows))
    return tree(made.out)


@pytest.mark.parametrize(
    ("where", "name", "damages"),
    [
        ("decided", ".work/qqp.eval.npz", (cut_short, flip)),
        ("decided", ".work/qqp.eval.npy", (empty, swap)),
        ("decided", ".work/gate/grams.npy", (flip, lose)),
        ("decided", ".work/gate/bitmap.npy", (cut_short, swap)),
        ("decided", ".work/qqp.train.0000.rows.arrow", (cut_short, flip, lose)),
        ("decided", ".work/qqp.train.0000.numbers.arrow", (empty, flip, swap)),
        ("written", "train/part-00001.parquet", (cut_short, empty, flip, lose, swap)),
    ],
)
def test_a_damaged_file_is_made_again(where, name, damages, stopped, plain_rows, fake_source, tree, undisturbed):
    for damage in damages:
        made = stopped(where)
        damage(made.out / name)
        build(made, source=fake_source(plain_rows))
        assert tree(made.out) == undisturbed, damage
        shutil.rmtree(made.out)


@pytest.mark.parametrize(
    ("where", "name", "damage"),
    [
        ("decided", ".work/qqp.eval.json", cut_short),
        ("decided", ".work/gate.json", empty),
        ("decided", ".work/qqp.train.plan.json", cut_short),
        ("decided", ".work/qqp.train.0000.json", empty),
        ("written", ".work/shards/train/part-00001.parquet.json", lose),
    ],
)
def test_a_damaged_marker_is_no_marker(where, name, damage, stopped, plain_rows, fake_source, tree, undisturbed):
    made = stopped(where)
    damage(made.out / name)
    build(made, source=fake_source(plain_rows))
    assert tree(made.out) == undisturbed


def test_only_what_is_damaged_is_made_again(stopped, plain_rows, fake_source):
    made = stopped("written")
    flip(made.out / ".work/nq_open.train.0000.rows.arrow")
    cut_short(made.out / "train/part-00002.parquet")
    whole = made.out / "train/part-00000.parquet"
    before = whole.stat().st_mtime_ns
    source = fake_source(plain_rows)
    build(made, source=source)
    assert whole.stat().st_mtime_ns == before
    # Nothing was asked of the source but the rows of the damaged piece, whose place was noted.
    assert source.requested == []


@pytest.mark.parametrize("kind", ["rows", "numbers"])
def test_a_work_file_that_is_lost_meanwhile_is_one_message_and_the_next_build_mends_it(
    kind, settings, plain_rows, fake_source, tree, undisturbed, monkeypatch
):
    made = settings(size=300, rows_per_shard=100)
    step = "clean" if kind == "numbers" else "share_rows"
    module = import_module("cme.mix.build")
    real = getattr(module, step)

    def after_damage(*args, **kwargs):
        cut_short(made.out / f".work/qqp.train.0000.{kind}.arrow")
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, step, after_damage)
        with pytest.raises(CMEError, match=rf"qqp\.train\.0000\.{kind}\.arrow cannot be read.*Run the command again"):
            build(made, source=fake_source(plain_rows))
    build(made, source=fake_source(plain_rows))
    assert tree(made.out) == undisturbed


def test_shards_hold_what_their_manifest_says_after_repair(stopped, plain_rows, fake_source):
    made = stopped("written")
    pq.write_table(pa.table({"instruction": ["Say nothing."]}), made.out / "train/part-00000.parquet")
    manifest = build(made, source=fake_source(plain_rows))
    assert sum(pq.read_metadata(made.out / name).num_rows for name in manifest.files) == (
        manifest.rows + manifest.validation_rows
    )


def test_another_source_in_a_folder_of_the_same_name_is_compared_with_its_own_evaluation_rows(
    plain_rows, fake_source, settings
):
    made = settings(datasets=("nq_open",))
    other = plain_rows | {"nq_open/validation": [{"question": "so tell me who owns the mill 3 there", "answer": ["x"]}]}
    plain = [{"question": f"so tell me who owns the mill {k} here", "answer": ["x"]} for k in range(30)]
    leaks = [{"question": "so tell me there who owns the mill 3", "answer": ["x"]}]
    found = []
    for given in (plain_rows, other):
        manifest = build(made, source=fake_source(given | {"nq_open/train": plain + leaks}))
        found.append(manifest.datasets["nq_open"].leaks)
        shutil.rmtree(made.out)
    assert found == [{}, {"nq_open": 1}]
    assert check_only(made, source=fake_source(other | {"nq_open/train": plain + leaks})).rows["nq_open"] < 31
