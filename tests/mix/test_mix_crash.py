"""Whatever ends a build, the next one finishes it with the bytes of an undisturbed one."""

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from importlib import import_module

import pytest

from cme.mix import build
from cme.workdir import is_finished
from tests.mix import builds

_DRAW = random.Random(4)


def _points(pattern, most, count):
    return [(pattern, number) for number in sorted(_DRAW.sample(range(1, most), count))]


KILLS = [
    _points(".work/*.eval.json", builds.EVALUATION_SETS, 2) + _points(".work/gate/*.npy", 11, 1),
    _points(".work/*.train.[0-9]*.json", builds.PIECES, 3),
    _points(".work/shards/train/*.json", builds.SHARDS, 1) + _points("train/*.parquet", builds.SHARDS, 2),
    [("overlap.json", 1)],
]
"""Files by which the moment to kill is seen from outside, and how many of them; each line is one build."""

CTRL_C = "\ncme: interrupted. Finished work is kept. Run the same command again to continue.\n"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    running = builds.start(tmp_path_factory.mktemp("undisturbed") / "mix")
    assert running.ended()[0] == 0
    return builds.tree(running.out)


@pytest.fixture
def go_on(monkeypatch):
    """Build in this process where another stopped."""

    def finish(out, workers=1):
        builds.small_sizes(monkeypatch)
        build(builds.settings(out, workers))
        return builds.tree(out)

    return finish


def gone(running, seconds=10):
    """Whether all processes of a build end in time."""
    end = time.monotonic() + seconds
    while running.relatives() and time.monotonic() < end:
        time.sleep(0.01)
    return not running.relatives()


def marks(out):
    return {file.relative_to(out) for file in (out / ".work").rglob("*.json")}


def test_the_builds_here_have_many_steps(undisturbed, tmp_path, monkeypatch):
    def no_card(*_):
        raise KeyboardInterrupt

    builds.small_sizes(monkeypatch)
    monkeypatch.setattr(import_module("cme.mix.build"), "heat_map", no_card)
    with pytest.raises(KeyboardInterrupt):
        build(builds.settings(tmp_path / "mix"))
    work = tmp_path / "mix" / ".work"
    assert len(list(work.glob("*.eval.json"))) == builds.EVALUATION_SETS
    assert len(list(work.glob("*.train.[0-9]*.json"))) == builds.PIECES
    assert len([name for name in undisturbed if name.startswith("train/")]) == builds.SHARDS
    assert sum(map(len, KILLS)) == 10


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(points, id=points[0][0], marks=pytest.mark.long if points in (KILLS[0], KILLS[-1]) else ())
        for points in KILLS
    ],
)
def test_a_killed_build_goes_on_and_gives_the_same_bytes(points, tmp_path, undisturbed, go_on):
    for pattern, count in points:
        running = builds.start(tmp_path / "mix")
        running.wait_for(pattern, count)
        running.kill()
        assert not is_finished(running.out)
    assert go_on(running.out) == undisturbed


def test_two_workers_killed_twice_leave_no_process_and_the_same_bytes(tmp_path, undisturbed, go_on):
    for pattern, count in ((".work/*.train.[0-9]*.json", 3), (".work/shards/train/*.json", 2)):
        running = builds.start(tmp_path / "mix", workers=2)
        running.wait_for(pattern, count)
        before = running.relatives("spawn_main")
        running.kill()
        assert before and gone(running)
    assert go_on(running.out) == undisturbed


def test_a_worker_that_is_killed_ends_the_build_with_one_message(tmp_path, undisturbed, go_on):
    running = builds.start(tmp_path / "mix", workers=2)
    running.wait_for(".work/*.train.[0-9]*.json", 2)
    os.kill(running.relatives("spawn_main")[0], signal.SIGKILL)
    code, error = running.ended()
    assert code == 1
    assert error.startswith("cme: a worker process was killed") and error.count("\n") == 1
    assert "Run the same command again with fewer --workers" in error
    assert gone(running)
    kept = marks(running.out)
    assert len(kept) > builds.EVALUATION_SETS
    assert go_on(running.out) == undisturbed


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        pytest.param(".work/gate.json", 1, id="while the workers start"),
        pytest.param(".work/*.train.[0-9]*.json", 4, id="while they work", marks=pytest.mark.long),
    ],
)
def test_ctrl_c_with_two_workers_is_one_message_and_the_build_goes_on(pattern, count, tmp_path, undisturbed, go_on):
    running = builds.start(tmp_path / "mix", workers=2)
    running.wait_for(pattern, count)
    if pattern.endswith("gate.json"):
        while not running.relatives("spawn_main"):
            time.sleep(0.001)
        time.sleep(0.2)  # a process takes a second to import what it needs; whatever it does, it is quiet
    os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does
    assert running.ended() == (130, CTRL_C)
    assert gone(running)
    assert go_on(running.out) == undisturbed


def full(running):
    """See that a build ended for want of room; gives what was finished."""
    code, error = running.ended()
    assert code == 1
    assert error.startswith(f"cme: cannot write {running.out}/") and error.count("\n") == 1, error
    assert "Free some disk space and run the command again." in error
    assert not is_finished(running.out) and gone(running)
    return marks(running.out)


@pytest.mark.parametrize(
    ("pattern", "kilobytes", "workers"),
    [
        pytest.param(".work/*.eval.json", 700, 1, marks=pytest.mark.long),
        pytest.param(".work/gate.json", 70, 2, marks=pytest.mark.long),
        ("train/*.parquet", 20, 2),
    ],
)
def test_a_file_that_finds_no_room_is_one_message(pattern, kilobytes, workers, tmp_path, undisturbed, go_on):
    running = builds.start(tmp_path / "mix")
    running.wait_for(pattern, 1)
    running.kill()
    limit = (kilobytes * 1024, kilobytes * 1024)
    again = builds.start(running.out, workers, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert full(again)
    assert go_on(running.out) == undisturbed


@pytest.mark.long
def test_a_full_disk_keeps_what_was_done_and_more_room_finishes_it(tmp_path, undisturbed):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "cme-test", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may make a small disk")
    try:
        done = set()
        # Too small for the evaluation rows, decontamination, the training rows, the shards.
        for room in ("1m", "4m", "8m", "9500k"):
            subprocess.run(["mount", "-o", f"remount,size={room}", str(disk)], check=True)
            found = full(builds.start(disk / "mix", workers=2))
            assert done < found, room
            done = found
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        assert builds.start(disk / "mix").ended()[0] == 0
        assert builds.tree(disk / "mix") == undisturbed
    finally:
        subprocess.run(["umount", str(disk)], check=True)
