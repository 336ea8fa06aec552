import json
import os

import pytest

from cme.errors import AdapterError, CMEError
from cme.files import read_json
from cme.readers.limits import JSON_BYTES, JSON_DEPTH, JSON_DIGITS


def written(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[" * 10_000 + "]" * 10_000, "nested more than 64 deep"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "nested more than 64 deep"),
        ("[" * (JSON_DEPTH + 1) + "]" * (JSON_DEPTH + 1), "nested more than 64 deep"),
        ("[" * 1_000_000, "nested more than 64 deep"),
        (f'{{"n": {"9" * 400}}}', "an integer with 400 digits; at most 40 are allowed"),
        (f'{{"n": -{"9" * 5000}}}', "an integer with 5,001 digits"),
        ('{"n": 1e400}', "1e400, which is too large for a float"),
        ('{"n": NaN}', "NaN"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' occurs twice in one object"),
        (r'{"a": "\ud800"}', "a lone surrogate"),
        (r'{"\udfff": 1}', "a lone surrogate"),
        (b'{"a": "\xff"}', "not valid JSON"),
        ("", "not valid JSON"),
        ("\ufeff{}", "not valid JSON"),
    ],
)
def test_what_is_refused(tmp_path, content, says):
    path = written(tmp_path, content)
    with pytest.raises(CMEError, match=says) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, -2.5, None, True, "Łódź 😀"], "": {}},
        [10 ** (JSON_DIGITS - 1), -(10 ** (JSON_DIGITS - 2)), 1e308, 5e-324],
        "text",
        3,
        None,
    ],
)
def test_what_is_read(tmp_path, value):
    assert read_json(written(tmp_path, json.dumps(value))) == value
    assert read_json(written(tmp_path, json.dumps(value, ensure_ascii=False))) == value


def test_the_deepest_value_is_read(tmp_path):
    read_json(written(tmp_path, "[" * JSON_DEPTH + "]" * JSON_DEPTH))


def test_a_pair_of_surrogates_is_a_character(tmp_path):
    assert read_json(written(tmp_path, r'"\ud83d\ude00"')) == "😀"


def test_a_large_file_is_not_read(tmp_path):
    path = tmp_path / "x.json"
    with path.open("wb") as file:
        file.truncate(100 * JSON_BYTES)
    with pytest.raises(CMEError, match="more than 16,777,216 bytes"):
        read_json(path)


def test_a_named_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(CMEError, match="not a regular file"):
        read_json(tmp_path / "x.json")


def test_a_device_is_not_read(tmp_path):
    (tmp_path / "x.json").symlink_to("/dev/zero")
    with pytest.raises(CMEError, match="not a regular file"):
        read_json(tmp_path / "x.json")


def test_the_callers_error_is_raised(tmp_path):
    for path in (tmp_path / "none", written(tmp_path, "{")):
        with pytest.raises(AdapterError):
            read_json(path, error=AdapterError)
