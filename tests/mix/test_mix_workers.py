"""Any number of processes, any cut into pieces: the same mix."""

import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.errors import CMEError, DataError
from cme.mix import BuildSettings, build, load_mix
from cme.mix import workers as workers_module
from cme.mix.workers import Workers
from tests.hub_rows import ROW, write_mirror

NAMES = ("arc", "cnn_dailymail", "nq_open", "qqp", "squad_v2")
EVALUATION = {
    "arc_challenge/test": ("arc", 0),
    "arc_easy/test": ("arc", 20),
    "cnn_dailymail/test": ("cnn_dailymail", 0),
    "nq_open/validation": ("nq_open", 0),
    "qqp/validation": ("qqp", 0),
    "squad_v2/validation": ("squad_v2", 0),
}
TRAINING = {
    "arc_challenge/train": ("arc", 1000, 90),
    "arc_easy/train": ("arc", 2000, 110),
    "cnn_dailymail/train": ("cnn_dailymail", 100, 130),
    "nq_open/train": ("nq_open", 100, 210),
    "qqp/train": ("qqp", 100, 430),
    "squad_v2/train": ("squad_v2", 100, 170),
}


@pytest.fixture
def rows():
    evaluation = {place: [ROW[name](first + k) for k in range(10)] for place, (name, first) in EVALUATION.items()}
    return evaluation | {
        place: [ROW[name](first + k) for k in range(count)] for place, (name, first, count) in TRAINING.items()
    }


@pytest.fixture
def mirror(tmp_path):
    """``mirror(rows)`` writes a mirror whose files have row groups of 40 rows."""

    def write(rows, name="mirror", row_group=40):
        folder = write_mirror(tmp_path / name, rows)
        for place in rows:
            file = folder / f"{place}.parquet"
            table = pq.read_table(file)
            pq.write_table(table, file, row_group_size=row_group or len(table))
        return folder

    return write


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Build from a mirror in pieces of some rows, with processes for however few."""
    monkeypatch.setattr("cme.mix.workers.FEW_ROWS", 0)

    def go(folder, out, *, workers=1, piece=100, **changes):
        monkeypatch.setattr("cme.data.chunks.PIECE_ROWS", piece)
        given = {"datasets": NAMES, "rows_per_shard": 300} | changes
        settings = BuildSettings(source=str(folder), out=tmp_path / out, workers=workers, **given)
        return build(settings)

    return go


def pieces_of(monkeypatch):
    """Note in how many pieces the training rows of each build are read."""
    counts, run = [], Workers.run

    def counted(self, function, tasks, **options):
        if all(hasattr(task, "piece") for task in tasks):
            counts.append(len(tasks))
        return run(self, function, tasks, **options)

    monkeypatch.setattr(Workers, "run", counted)
    return counts


@pytest.mark.parametrize("workers", [2, pytest.param(4, marks=pytest.mark.long)])
def test_any_number_of_workers_writes_the_same_bytes(workers, rows, mirror, make, tree, tmp_path, monkeypatch):
    folder, counts = mirror(rows), pieces_of(monkeypatch)
    make(folder, "one", size=900)
    make(folder, "several", workers=workers, size=900)
    # Pieces end with the row group that makes 100 rows full: at 120, 240, 360, …
    assert counts == [1 + 1 + 2 + 2 + 4 + 2] * 2
    one = tree(tmp_path / "one")
    assert len([name for name in one if name.startswith("train/")]) == 3
    assert tree(tmp_path / "several") == one


def test_the_cut_into_pieces_is_not_seen_in_the_mix(rows, mirror, make, tree, tmp_path):
    rows["qqp/train"] += [ROW["qqp"](100)] * 3 + [ROW["qqp"](520), ROW["qqp"](3)]
    folder = mirror(rows)
    manifests = [make(folder, f"mix{piece}", piece=piece) for piece in (1, 100, 10_000)]
    # Three copies from the first piece and one from the last but one; one evaluation row.
    assert manifests[0].datasets["qqp"].duplicates == 4
    assert manifests[0].datasets["qqp"].leaks == {"qqp": 1}
    trees = [tree(tmp_path / f"mix{piece}") for piece in (1, 100, 10_000)]
    assert trees[0] == trees[1] == trees[2]


def test_the_batches_that_rows_are_worked_on_in_are_not_seen_in_the_mix(
    rows, mirror, make, tree, tmp_path, monkeypatch
):
    folder = mirror(rows)
    make(folder, "whole")
    monkeypatch.setattr("cme.mix.collect_train._BATCH", 7)
    monkeypatch.setattr("cme.mix.collect_train._STORED_BATCHES", 2)
    make(folder, "in batches")
    assert tree(tmp_path / "in batches") == tree(tmp_path / "whole")


def test_one_huge_row_group_is_one_piece_and_the_same_rows(rows, mirror, make, tmp_path, monkeypatch):
    counts = pieces_of(monkeypatch)
    make(mirror(rows, "many"), "a")
    make(mirror(rows, "one", row_group=None), "b", piece=10)
    assert counts[1] == len(TRAINING) < counts[0]
    for split in ("train", "validation"):
        assert load_mix(tmp_path / "a", split).equals(load_mix(tmp_path / "b", split))


def test_shards_of_a_split_are_one_split(rows, mirror, make, tmp_path):
    whole, cut = mirror(rows, "whole"), mirror(rows, "cut")
    table = pq.read_table(cut / "qqp/train.parquet")
    (cut / "qqp/train.parquet").unlink()
    for number, (start, length) in enumerate(((0, 150), (150, 0), (150, 280))):
        pq.write_table(table.slice(start, length), cut / f"qqp/train-{number:05}-of-00003.parquet", row_group_size=70)
    make(whole, "a")
    make(cut, "b")
    assert load_mix(tmp_path / "a", "train").equals(load_mix(tmp_path / "b", "train"))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("row", [5, 437])
def test_a_bad_row_is_named_by_its_number_in_the_whole_split(row, workers, rows, mirror, make):
    rows["qqp/train"] = [ROW["qqp"](100 + k, label=7 if k == row else k % 2) for k in range(500)]
    with pytest.raises(DataError, match=rf"qqp/train: column 'label' holds 7 at row {row};") as caught:
        make(mirror(rows), "mix", workers=workers)
    assert "qqp/train.parquet" in str(caught.value)


def test_a_bad_row_in_a_later_shard_is_counted_from_the_first(rows, mirror, make):
    folder = mirror(rows)
    (folder / "qqp/train.parquet").unlink()
    bad = [ROW["qqp"](100 + k, label=7 if k == 250 else k % 2) for k in range(300)]
    for number, part in enumerate((bad[:200], bad[200:])):
        pq.write_table(pa.Table.from_pylist(part), folder / f"qqp/train-{number:05}-of-00002.parquet")
    with pytest.raises(DataError, match=r"at row 250;(?s:.*)train-00001-of-00002\.parquet"):
        make(folder, "mix")


def test_a_repeated_row_of_two_pieces_is_dropped_once(rows, mirror, make, tmp_path):
    twin = ROW["nq_open"](103)
    rows["nq_open/train"] = [*rows["nq_open/train"], twin]
    manifest = make(mirror(rows), "mix", validation_share=0)
    assert manifest.datasets["nq_open"].duplicates == 1
    inputs = load_mix(tmp_path / "mix", "train").column("input").to_pylist()
    assert sum(twin["question"].lower() in text.lower() for text in inputs) == 1


def test_labels_that_differ_between_pieces_conflict(rows, mirror, make):
    rows["qqp/train"] = [*rows["qqp/train"], ROW["qqp"](101, label=0)]
    assert ROW["qqp"](101)["label"] == 1
    assert make(mirror(rows), "mix").datasets["qqp"].conflicting == 2


def test_few_rows_need_no_further_process(rows, mirror, make, monkeypatch):
    def none(*_, **__):
        raise AssertionError("a process was started")

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", none)
    folder = mirror(rows)
    with pytest.raises(AssertionError, match="a process was started"):
        make(folder, "with", workers=2)
    monkeypatch.setattr(workers_module, "FEW_ROWS", 50_000)
    assert make(folder, "without", workers=2).rows > 1000


def note_blocked(file):
    """A task: which signals this process does not get to see, as the kernel says."""
    status = Path("/proc/self/status").read_text().splitlines()
    file.write_text(next(line.split()[1] for line in status if line.startswith("SigBlk:")))


def fail_or_sleep(file):
    """A task that goes wrong at once, or takes minutes and then writes a file."""
    if file.name == "fail":
        raise CMEError("row 7 is bad")
    time.sleep(120)
    file.touch()


def test_ctrl_c_is_for_the_parent_from_a_process_s_first_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(workers_module, "FEW_ROWS", 0)
    files = [tmp_path / "a", tmp_path / "b"]
    with Workers(2) as workers:
        workers.run(note_blocked, files, rows=2, advance=lambda task: None)
    assert all(int(file.read_text(), 16) >> (signal.SIGINT - 1) & 1 for file in files)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def note_process(file):
    """A task: which process this is; long enough for the other one to get the second task."""
    file.write_text(str(os.getpid()))
    time.sleep(0.2)


def test_processes_are_kept_for_the_next_tasks_and_end_with_the_block(tmp_path, monkeypatch):
    monkeypatch.setattr(workers_module, "FEW_ROWS", 0)
    files = [tmp_path / name for name in "abcdefgh"]
    with Workers(2) as workers:
        for some in (files[:4], files[4:]):
            workers.run(note_process, some, rows=2, advance=lambda task: None)
    processes = {int(file.read_text()) for file in files}
    assert len(processes) <= 2 and os.getpid() not in processes
    assert not any(Path(f"/proc/{process}").exists() for process in processes)


def test_an_error_does_not_wait_for_what_is_still_going_on(tmp_path, monkeypatch):
    monkeypatch.setattr(workers_module, "FEW_ROWS", 0)
    files = [tmp_path / name for name in ("first", "fail", "second", "third")]
    with pytest.raises(CMEError, match="row 7 is bad"), Workers(2) as workers:
        workers.run(fail_or_sleep, files, rows=4, advance=lambda task: None)
    assert not any(file.exists() for file in files)
