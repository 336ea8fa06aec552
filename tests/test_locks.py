"""Two commands never use one folder at the same time, and a process that has ended does not block a folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cme import locks
from cme.errors import UsageError
from cme.locks import LOCK_FILE, locked, locks_released, unlock
from cme.workdir import claim, finish, is_finished, release

SETTINGS = {"size": 100}

HOLD = """
import sys, time
from pathlib import Path
from cme.workdir import claim
claim(Path(sys.argv[1]), "train", {"size": 100})
print("holds", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that works in ``tmp_path / "out"``."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "holds\n"
        yield process
        process.kill()


@pytest.fixture
def no_flock(monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)


def write_holder(folder, **changes):
    values = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": "2026-01-01T00:00:00+00:00",
        "command": "train",
    }
    folder.mkdir(exist_ok=True)
    (folder / LOCK_FILE).write_text(json.dumps(values | {"started": 0} | changes))


def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_second_command_is_refused_and_names_the_holder(tmp_path, other):
    with pytest.raises(UsageError) as caught:
        claim(tmp_path / "out", "train", SETTINGS)
    message = str(caught.value)
    assert f"is in use by 'cme train' (process {other.pid} on {socket.gethostname()}, since 20" in message
    assert "Wait until it ends, or set another --out." in message


def test_another_command_is_refused_too(tmp_path, other):
    with pytest.raises(UsageError, match="is in use by 'cme train'"):
        claim(tmp_path / "out", "eval", SETTINGS | {"size": 7})


def test_a_killed_process_leaves_the_folder_free(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / "out" / LOCK_FILE).exists()
    assert claim(tmp_path / "out", "train", SETTINGS) is True
    finish(tmp_path / "out")


def test_finished_work_holds_no_lock(tmp_path):
    out = tmp_path / "out"
    claim(out, "train", SETTINGS)
    finish(out)
    assert sorted(path.name for path in out.iterdir()) == [".cme.json"]
    out.chmod(0o555)
    with pytest.raises(UsageError, match="finished output"):
        claim(out, "train", SETTINGS)
    out.chmod(0o755)


def test_a_refused_folder_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        claim(tmp_path, "train", SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_with_other_work_is_given_back(tmp_path):
    out = tmp_path / "out"
    claim(out, "train", SETTINGS)
    unlock(out)
    with pytest.raises(UsageError, match="other settings"):
        claim(out, "train", {"size": 200})
    assert sorted(path.name for path in out.iterdir()) == [".cme.json"]


def test_a_program_may_go_on_after_an_error(tmp_path):
    @locks_released()
    def fails():
        claim(tmp_path / "out", "train", SETTINGS)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert not (tmp_path / "out" / LOCK_FILE).exists()
    code = HOLD.replace("time.sleep(60)", "")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=True, stdout=subprocess.DEVNULL)


def test_the_process_that_holds_a_folder_may_take_it_again(tmp_path):
    assert claim(tmp_path / "out", "train", SETTINGS) is False
    assert claim(tmp_path / "out", "train", SETTINGS) is True
    release(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom cme.workdir import claim\n"
        f"claim(Path(sys.argv[1]), 'train', {SETTINGS!r})\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    print(os.getpid(), flush=True)\n    time.sleep(20)\n    os._exit(0)\n"
        "os._exit(0)\n"
    )
    done = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    child = int(done.stdout.readline())
    done.wait()
    try:
        assert claim(tmp_path / "out", "train", SETTINGS) is True
    finally:
        os.kill(child, signal.SIGKILL)
        unlock(tmp_path / "out")


def test_what_a_killed_process_left_of_a_marker_is_removed(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "..cme.json.abc.tmp").write_text("{")
    assert claim(out, "train", SETTINGS) is False
    assert not (out / "..cme.json.abc.tmp").exists()
    release(out)


def test_half_written_files_are_removed_when_work_continues(tmp_path):
    out = tmp_path / "out"
    claim(out, "train", SETTINGS)
    unlock(out)
    (out / ".run.json.abc.tmp").write_text("{")
    assert claim(out, "train", SETTINGS) is True
    assert sorted(path.name for path in out.iterdir()) == [".cme.json", LOCK_FILE]
    release(out)


@pytest.mark.parametrize("content", ["[]", "3", '"x"', '{"settings": []}', "{"])
def test_a_file_that_is_not_a_marker_is_reported(tmp_path, content):
    (tmp_path / ".cme.json").write_text(content)
    for call in (lambda: claim(tmp_path, "train", SETTINGS), lambda: is_finished(tmp_path)):
        with pytest.raises(Exception, match=r"is damaged|not valid JSON") as caught:
            call()
        assert type(caught.value).__module__ == "cme.errors"


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


def silent(folder, seconds):
    """Let the lock of a folder look as if its holder had given no sign of life for some seconds."""
    then = time.time() - seconds
    os.utime(folder / LOCK_FILE, (then, then))


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


def test_who_holds_a_folder(tmp_path, other):
    holder = locks.holder_of(tmp_path / "out")
    assert (holder.pid, holder.command) == (other.pid, "train")
    other.kill()
    other.wait()
    assert locks.holder_of(tmp_path / "out") is None and locks.holder_of(tmp_path / "nothing") is None
    assert (tmp_path / "out" / LOCK_FILE).exists()


VERBS = {
    "build-data": ("build-data", "--source", "mini", "--size", "20", "--datasets", "rte"),
    "eval": ("eval", "--baseline", "majority", "--source", "mini", "--tier", "smoke", "--datasets", "rte"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_two_commands_with_one_folder(tmp_path, verb):
    """The second says who works there and changes nothing; the folder is then finished by the first."""
    (tmp_path / "out").mkdir()
    locked(tmp_path / "out", "train")
    command = [sys.executable, "-m", "cme", *VERBS[verb], "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and f"is in use by 'cme train' (process {os.getpid()}" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [LOCK_FILE]
    unlock(tmp_path / "out")
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
