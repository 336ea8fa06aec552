"""The lock file: what is written is what is read, and what is no lock is told."""

import hashlib
import json
from pathlib import Path

import pytest

from cme.data.sources.lock import Lock, LockedFile, split_key
from cme.env import lock_file
from cme.errors import CMEError

OLD, NEW = "a" * 40, "b" * 40
FILE = LockedFile("qqp/train.parquet", 3, "sha256:" + hashlib.sha256(b"abc").hexdigest())
# The name that ``git hash-object`` gives a file with the three bytes "abc".
GIT_ABC = "git:f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"


@pytest.fixture
def lock(tmp_path):
    lock = Lock(tmp_path / "cme.lock")
    lock.put("nyu-mll/glue", OLD, "qqp/train", (FILE,))
    return lock


def test_what_is_written_is_read(lock):
    again = Lock.read(lock.path)
    assert again.repositories == lock.repositories
    assert again.revision("nyu-mll/glue") == OLD
    assert again.files("nyu-mll/glue", OLD, "qqp/train") == (FILE,)
    assert again.files("nyu-mll/glue", OLD, "qqp/validation") is None
    assert again.revision("no/such") is None


def test_it_is_plain_json_in_a_fixed_order(lock):
    lock.put("allenai/sciq", NEW)
    lock.put("nyu-mll/glue", OLD, "mnli/train", ())
    stored = json.loads(lock.path.read_text())
    assert list(stored["repositories"]) == ["allenai/sciq", "nyu-mll/glue"]
    assert stored["repositories"]["nyu-mll/glue"] == {
        "revision": OLD,
        "splits": {
            "mnli/train": [],
            "qqp/train": [{"path": FILE.path, "size": 3, "checksum": FILE.checksum}],
        },
    }


def test_another_commit_forgets_the_files_of_the_old_one(lock):
    lock.put("nyu-mll/glue", NEW)
    assert lock.files("nyu-mll/glue", NEW, "qqp/train") is None
    assert Lock.read(lock.path).revision("nyu-mll/glue") == NEW


def test_files_of_another_commit_than_the_locked_one_are_unknown(lock):
    assert lock.files("nyu-mll/glue", NEW, "qqp/train") is None


def test_no_file_is_an_empty_lock(tmp_path):
    assert Lock.read(tmp_path / "cme.lock").repositories == {}


def test_in_memory_nothing_is_written(lock):
    text = lock.path.read_text()
    copy = lock.in_memory()
    copy.put("nyu-mll/glue", NEW)
    assert (lock.path.read_text(), lock.revision("nyu-mll/glue")) == (text, OLD)


def test_adopting_keeps_what_is_known(lock, tmp_path):
    other = Lock()
    other.put("nyu-mll/glue", NEW)
    other.put("allenai/sciq", NEW)
    lock.adopt(other)
    assert (lock.revision("nyu-mll/glue"), lock.revision("allenai/sciq")) == (OLD, NEW)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not valid JSON"),
        ("[]", "is not a cme.lock of version 1"),
        ('{"version": 2, "repositories": {}}', "is not a cme.lock of version 1"),
        ('{"version": 1, "repositories": {"a/b": 3}}', "a/b: missing key 'revision'"),
        ('{"version": 1, "repositories": {"a/b": {"revision": "main", "splits": {}}}}', "a/b: 'main' is not a commit"),
        (
            '{"version": 1, "repositories": {"a/b": {"revision": "OLD", "splits": {"c/d": [{"path": "x"}]}}}}',
            "a/b/c/d: missing key 'size'",
        ),
    ],
)
def test_an_invalid_lock_is_reported(tmp_path, text, says):
    path = tmp_path / "cme.lock"
    path.write_text(text.replace("OLD", OLD))
    with pytest.raises(CMEError) as caught:
        Lock.read(path)
    assert says in str(caught.value) and str(path) in str(caught.value)


def test_a_lock_that_cannot_be_written_offers_another_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CMEError, match="CME_LOCK"):
        Lock(tmp_path / "file" / "cme.lock").put("a/b", OLD)


@pytest.mark.parametrize("checksum", [FILE.checksum, GIT_ABC])
def test_a_file_matches_by_size_and_checksum(tmp_path, checksum):
    file, locked = tmp_path / "file", LockedFile("file", 3, checksum)
    file.write_bytes(b"abc")
    assert locked.matches(file)
    file.write_bytes(b"abd")
    assert not locked.matches(file)
    file.write_bytes(b"abcd")
    assert not locked.matches(file)


def test_the_lock_is_in_the_current_folder_by_default(monkeypatch):
    monkeypatch.delenv("CME_LOCK", raising=False)
    assert lock_file() == Path("cme.lock")
    monkeypatch.setenv("CME_LOCK", "/elsewhere/x.lock")
    assert lock_file() == Path("/elsewhere/x.lock")


def test_a_split_without_a_configuration_has_a_key():
    assert (split_key(None, "train"), split_key("qqp", "train")) == ("default/train", "qqp/train")
