import errno
import hashlib
import json
import math
import os
import shutil

import pytest

from cme.errors import CMEError
from cme.files import atomic_path, digest, read_json, sha256_file, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read(tmp_path):
    value = {"b": [1, 2.5, None, True], "a": "Łódź"}
    write_json(tmp_path / "deep" / "x.json", value)
    assert read_json(tmp_path / "deep" / "x.json") == value
    assert "Łódź" in (tmp_path / "deep" / "x.json").read_text(encoding="utf-8")
    assert names(tmp_path / "deep") == ["x.json"]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_not_a_number_is_refused_and_the_old_file_stays(tmp_path, number):
    path = tmp_path / "x.json"
    write_json(path, {"score": 1.0})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"score": number})
    assert read_json(path) == {"score": 1.0}
    assert names(tmp_path) == ["x.json"]


@pytest.mark.parametrize(
    "failure", [RuntimeError("half way"), KeyboardInterrupt(), OSError(28, "No space left on device")]
)
def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path, failure):
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with pytest.raises((RuntimeError, KeyboardInterrupt, CMEError)), atomic_path(path) as temporary:
        temporary.write_text("new, but only ha")
        raise failure
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_a_full_disk_is_reported(tmp_path):
    with pytest.raises(CMEError, match=r"cannot write .*: No space left on device"), atomic_path(tmp_path / "x"):
        raise OSError(28, "No space left on device")


def test_a_folder_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CMEError, match="cannot write"):
        write_text(tmp_path / "file" / "x.txt", "text")


def test_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    # Without fsync, a file could be renamed but incomplete after a power failure.
    calls = []
    monkeypatch.setattr("os.fsync", lambda handle: calls.append("fsync"))
    monkeypatch.setattr("pathlib.Path.replace", lambda self, target: calls.append("rename"))
    write_text(tmp_path / "x", "text")
    assert calls == ["fsync", "rename"]


def test_written_files_are_readable_by_others(tmp_path):
    write_text(tmp_path / "x", "text")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1', "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"score": NaN}', "NaN"),
        (b'{"score": -Infinity}', "-Infinity"),
    ],
)
def test_damaged_json_is_reported(tmp_path, content, says):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(CMEError, match=says) as caught:
        read_json(tmp_path / "x.json")
    assert "x.json" in str(caught.value)


def test_json_that_is_not_there(tmp_path):
    with pytest.raises(CMEError, match="does not exist"):
        read_json(tmp_path / "x.json")
    with pytest.raises(CMEError, match="cannot be read"):
        read_json(tmp_path)


def test_digest_is_of_the_value_not_of_its_spelling():
    # The canonical form by hand: sorted keys, no spaces, UTF-8.
    expected = hashlib.sha256('{"a":"ä","b":[1,2.5]}'.encode()).hexdigest()
    assert digest({"b": [1, 2.5], "a": "ä"}) == digest(json.loads('{"a": "\\u00e4", "b": [1, 2.5]}')) == expected
    assert digest({"b": [2.5, 1], "a": "ä"}) != expected


def test_sha256_of_a_file(tmp_path):
    # FIPS 180-2, appendix B.1: the message "abc".
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_file(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some disk space and run the command again"),
        (errno.EDQUOT, "Free some disk space"),
        (errno.ENOENT, "or was removed while the command ran"),
        (errno.EACCES, "Choose a folder with write permission"),
        (errno.EROFS, "Choose a folder with write permission"),
        (errno.ENAMETOOLONG, "Choose a shorter name"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_the_advice_fits_the_cause(tmp_path, number, advice):
    with pytest.raises(CMEError, match=advice) as caught, atomic_path(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert ("Free some disk space" in str(caught.value)) == (number in (errno.ENOSPC, errno.EDQUOT))


def test_a_folder_that_is_removed_meanwhile(tmp_path):
    folder = tmp_path / "out"
    with (
        pytest.raises(CMEError, match="or was removed while the command ran"),
        atomic_path(folder / "x") as path,
    ):
        path.write_text("text")
        shutil.rmtree(folder)


def test_a_short_write_of_numpy_is_a_full_disk(tmp_path):
    """`numpy.ndarray.tofile` raises an error without a number."""
    with pytest.raises(CMEError, match="Free some disk space"), atomic_path(tmp_path / "x"):
        raise OSError("1048576 requested and 716672 written")
