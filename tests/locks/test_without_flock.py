"""Where the system has no ``flock``, the existence of the lock file is the lock."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cme import locks
from cme.errors import UsageError
from cme.locks import LOCK_FILE, locked, unlock
from cme.workdir import claim, release
from tests.locks.holders import SETTINGS, dead, silent, write_holder


def test_without_flock_a_living_process_keeps_its_folder(tmp_path, no_flock):
    write_holder(tmp_path / "out", pid=os.getppid())
    with pytest.raises(UsageError, match=f"process {os.getppid()} on"):
        locked(tmp_path / "out", "eval")


def test_without_flock_a_dead_process_does_not(tmp_path, no_flock):
    write_holder(tmp_path / "out", pid=dead())
    locked(tmp_path / "out", "eval")
    assert json.loads((tmp_path / "out" / LOCK_FILE).read_text())["pid"] == os.getpid()
    unlock(tmp_path / "out")
    assert not (tmp_path / "out" / LOCK_FILE).exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not say when a process started")
def test_without_flock_another_process_with_the_same_id_does_not(tmp_path, no_flock):
    write_holder(tmp_path / "out", pid=os.getppid(), started=1)
    locked(tmp_path / "out", "eval")
    unlock(tmp_path / "out")


def test_without_flock_a_process_of_another_machine_keeps_its_folder(tmp_path, no_flock):
    write_holder(tmp_path / "out", pid=dead(), host="elsewhere")
    with pytest.raises(UsageError, match="on elsewhere, since 2026-01-01"):
        locked(tmp_path / "out", "eval")


@pytest.mark.parametrize("content", ["", "[]", "[" * 5000, '{"host": 1}', '{"pid": "x"}'])
def test_without_flock_an_unsigned_lock_holds_until_it_is_silent(tmp_path, no_flock, content):
    (tmp_path / LOCK_FILE).write_text(content)
    silent(tmp_path, 30)
    with pytest.raises(UsageError, match="is in use by another process"):
        locked(tmp_path, "eval")
    silent(tmp_path, locks.LEASE + 1)
    locked(tmp_path, "eval")
    assert locks.holder_of(tmp_path).pid == os.getpid()


def test_a_file_system_without_locks_falls_back(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", unsupported)
    write_holder(tmp_path / "out", pid=os.getppid())
    with pytest.raises(UsageError, match=f"process {os.getppid()} on"):
        locked(tmp_path / "out", "eval")


@pytest.mark.parametrize("flock", [True, False])
def test_of_many_processes_that_start_at_once_one_gets_the_folder(tmp_path, flock):
    write_holder(tmp_path / "out", pid=dead())
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom cme import locks\n"
        f"locks.fcntl = locks.fcntl if {flock} else None\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "try:\n    locks.locked(Path(sys.argv[1]), 'train'); print('mine', flush=True)\n"
        "except Exception as error:\n    print(type(error).__name__, flush=True)\n"
        "sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    all_of_them = [subprocess.Popen(command, **pipes) for _ in range(6)]
    try:
        assert {process.stdout.readline() for process in all_of_them} == {"ready\n"}
        for process in all_of_them:
            process.stdin.write("\n")
            process.stdin.flush()
        assert sorted(process.stdout.readline() for process in all_of_them) == ["UsageError\n"] * 5 + ["mine\n"]
    finally:
        for process in all_of_them:
            process.kill()
            process.communicate()


def test_a_slow_process_never_takes_the_file_of_a_new_holder_away(tmp_path, no_flock, monkeypatch):
    """Not even for a moment, because a third process would create another one."""
    write_holder(tmp_path, pid=dead())
    with (tmp_path / LOCK_FILE).open("rb") as file:
        gone = locks._holder(file)
    write_holder(tmp_path, pid=os.getppid())
    there = []
    read = locks._holder
    monkeypatch.setattr(locks, "_holder", lambda file: there.append((tmp_path / LOCK_FILE).exists()) or read(file))
    locks._remove(tmp_path / LOCK_FILE, gone)
    assert there == [True]
    assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getppid()


@pytest.mark.parametrize("description", ["of a process that has ended", "none"])
def test_only_one_process_at_a_time_removes_an_old_file(tmp_path, no_flock, monkeypatch, description):
    monkeypatch.setattr(locks, "_ATTEMPTS", 3)
    write_holder(tmp_path, pid=dead())
    if description == "none":
        (tmp_path / LOCK_FILE).write_text("")
        silent(tmp_path, locks.LEASE + 1)
    turn = tmp_path / locks._TURN
    turn.touch()
    with pytest.raises(UsageError, match="in use by another process"):
        locked(tmp_path, "eval")
    then = time.time() - 60  # that process was killed
    os.utime(turn, (then, then))
    locked(tmp_path, "eval")
    assert locks.holder_of(tmp_path).pid == os.getpid()
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_FILE]


def test_a_process_whose_turn_was_taken_removes_nothing(tmp_path, no_flock, monkeypatch):
    """It stood still for so long that another one has the turn now."""
    write_holder(tmp_path, pid=dead())
    with (tmp_path / LOCK_FILE).open("rb") as file:
        gone = locks._holder(file)
    turn, read = tmp_path / locks._TURN, locks._holder

    def slow(file):
        turn.unlink()
        turn.write_text("of another process")
        return read(file)

    monkeypatch.setattr(locks, "_holder", slow)
    locks._remove(tmp_path / LOCK_FILE, gone)
    assert (tmp_path / LOCK_FILE).exists()
    assert turn.read_text() == "of another process"


def test_a_killed_removal_does_not_block_an_empty_folder(tmp_path, no_flock):
    out = tmp_path / "out"
    write_holder(out, pid=dead())
    (out / locks._TURN).touch()
    os.utime(out / locks._TURN, (1, 1))
    assert claim(out, "train", SETTINGS) is False
    release(out)
    assert not out.exists()


def test_a_process_that_lost_its_folder_leaves_the_lock_of_the_next_one(tmp_path, no_flock):
    locked(tmp_path, "train")
    (tmp_path / LOCK_FILE).unlink()
    write_holder(tmp_path, pid=os.getppid())
    unlock(tmp_path)
    assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getppid()


def test_waiting_for_the_description_of_a_lock_ends(tmp_path, no_flock):
    (tmp_path / LOCK_FILE).write_text("")

    def sign():
        time.sleep(0.2)
        write_holder(tmp_path, pid=os.getppid())

    signer = threading.Thread(target=sign)
    signer.start()
    with pytest.raises(UsageError, match=f"process {os.getppid()}"):
        locked(tmp_path, "eval")
    signer.join()
