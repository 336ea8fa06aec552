"""The lock is a lease, because a folder may be shared by several machines."""

import json
import signal
import subprocess
import sys
import time

import pytest

from cme.errors import UsageError
from cme.locks import LOCK_FILE, locked
from tests.locks.holders import dead, silent, write_holder

AS_HOST = """
import sys, time
from pathlib import Path
from cme import locks, machine
locks.socket.gethostname = lambda: sys.argv[2]
locks.machine_id = lambda: "machine of " + sys.argv[2]
locks.BEAT, locks.LEASE = 0.1, float(sys.argv[3])
{before}
try:
    locks.locked(Path(sys.argv[1]), "train")
    print("mine", flush=True)
except Exception as error:
    print(error, flush=True)
sys.stdin.readline()
"""
NO_FLOCK = "locks.fcntl = None"
LOCAL_FLOCK = """
class Local:  # the locks of one machine are unknown to the other
    LOCK_EX = LOCK_NB = 0
    flock = staticmethod(lambda *_: None)
locks.fcntl = Local
"""


def on_host(folder, host, *, lease=1.0, before=""):
    """Start a process that believes to be on another machine; return it and what it says about the lock."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", AS_HOST.replace("{before}", before), str(folder), host, str(lease)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("before", [LOCAL_FLOCK, NO_FLOCK], ids=["flock is local", "no flock"])
def test_two_machines_do_not_share_a_folder(tmp_path, before):
    first, answer = on_host(tmp_path / "out", "node-a", lease=60, before=before)
    assert answer == "mine"
    second, answer = on_host(tmp_path / "out", "node-b", lease=60, before=before)
    try:
        assert f"is in use by 'cme train' (process {first.pid} on node-a" in answer
        assert "If node-a has stopped, the folder is free 60 seconds after that." in answer
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()


@pytest.mark.parametrize("before", [LOCAL_FLOCK, NO_FLOCK], ids=["flock is local", "no flock"])
def test_the_lock_of_a_machine_that_stopped_ends_with_its_lease(tmp_path, before):
    first, _ = on_host(tmp_path / "out", "node-a", lease=60, before=before)
    first.kill()
    first.communicate()
    early, answer = on_host(tmp_path / "out", "node-b", lease=60, before=before)
    early.communicate("")
    assert "on node-a" in answer, "nobody knows yet whether that machine has stopped"
    silent(tmp_path / "out", 61)
    late, answer = on_host(tmp_path / "out", "node-b", lease=60, before=before)
    late.kill()
    late.communicate()
    assert answer == "mine"
    assert json.loads((tmp_path / "out" / LOCK_FILE).read_text())["host"] == "node-b"


def test_the_holder_of_a_lock_gives_signs_of_life(tmp_path):
    first, _ = on_host(tmp_path / "out", "node-a", before=LOCAL_FLOCK)
    try:
        silent(tmp_path / "out", 1000)
        before = (tmp_path / "out" / LOCK_FILE).stat().st_mtime
        end = time.monotonic() + 60
        while (tmp_path / "out" / LOCK_FILE).stat().st_mtime == before and time.monotonic() < end:
            time.sleep(0.05)
        assert (tmp_path / "out" / LOCK_FILE).stat().st_mtime > before
    finally:
        first.kill()
        first.communicate()


@pytest.mark.parametrize("interrupt", ["default_int_handler", "SIG_IGN"])
@pytest.mark.parametrize("before", [LOCAL_FLOCK, NO_FLOCK], ids=["flock is local", "no flock"])
def test_a_process_that_lost_its_folder_stops(tmp_path, before, interrupt):
    """It was suspended longer than its lease, another machine went on, and now it wakes up. Background jobs ignore SIGINT."""
    before += f"\nimport signal\nsignal.signal(signal.SIGINT, signal.{interrupt})\n"
    first, _ = on_host(tmp_path / "out", "node-a", lease=60, before=before)
    first.send_signal(signal.SIGSTOP)
    silent(tmp_path / "out", 61)
    second, answer = on_host(tmp_path / "out", "node-b", lease=60, before=before)
    try:
        assert answer == "mine"
        first.send_signal(signal.SIGCONT)
        first.wait(timeout=60)
        errors = first.communicate()[1]
        assert first.returncode != 0 and "was taken by 'cme train'" in errors and "on node-b" in errors
        assert json.loads((tmp_path / "out" / LOCK_FILE).read_text())["host"] == "node-b"
    finally:
        second.kill()
        second.communicate()


def test_a_container_of_the_same_name_is_another_machine(tmp_path, no_flock, monkeypatch):
    """Its process ids mean nothing here, so a missing process does not break its lock."""
    write_holder(tmp_path / "out", pid=dead(), machine="another container")
    with pytest.raises(UsageError, match="is in use by"):
        locked(tmp_path / "out", "eval")
