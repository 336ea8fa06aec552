"""Two commands never use one folder at the same time, and a process that has ended does not block a folder."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from cme import locks
from cme.errors import UsageError
from cme.locks import LOCK_FILE, locked, locks_released, unlock
from cme.workdir import claim, finish, is_finished, release
from tests.locks.holders import HOLD, SETTINGS


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
