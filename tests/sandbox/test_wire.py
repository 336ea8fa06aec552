"""The values between the process of the program and that of its tests."""

import io
import json

import pytest

from cme.sandbox.inside.wire import MOST_BYTES, WireError, decode, encode, read_message, write_message

VALUES = [
    None, True, 0, -(2**70), 0.1, float("-inf"), "é\x00", [1, [2]], (1,), {"a": {1: (2,)}}, {1, 2}, frozenset({"x"}), b"\xff", 2j,
    range(1, 9, 2), bytearray(b"x"),
]  # fmt: skip


def numbered(value: object) -> int:
    raise AssertionError(f"{value!r} does not travel")


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_data_arrives_as_it_was(value):
    arrived = decode(json.loads(json.dumps(encode(value, numbered))), numbered)
    assert arrived == value
    assert type(arrived) is type(value)


class Liar(list):
    def __iter__(self):
        return iter([7])

    def __eq__(self, other):
        return True

    __hash__ = None


class LyingInt(int):
    def __pos__(self):
        return 7


class LyingText(str):
    def __str__(self):
        return "7"


@pytest.mark.parametrize(("value", "content"), [(Liar([1]), [1]), (LyingInt(1), 1), (LyingText("1"), "1")], ids=str)
def test_a_subclass_arrives_as_its_contents(value, content):
    arrived = decode(encode(value, numbered), numbered)
    assert arrived == content
    assert type(arrived) is type(content)


def test_other_objects_are_numbers():
    kept = [object()]
    assert decode(encode([kept[0]], kept.index), lambda number: kept[number]) == kept


@pytest.mark.parametrize(
    "message",
    [{}, [], ["int"], ["int", 5], ["list", 5], ["dict", [[1]]], ["remote", "x"], ["remote", True], ["set", [["list", []]]],
     ["bytes", "zz"], ["complex", [1, 2, 3]],
     ["range", ["1", "2", "0"]], ["nothing", 1], [["list"], 1], ["Fraction", "1/0"], ["Decimal", "x"]],
    ids=str,
)  # fmt: skip
def test_a_damaged_message_is_refused(message):
    with pytest.raises(WireError):
        decode(message, numbered)


def test_a_value_that_contains_itself_is_refused():
    value: list = []
    value.append(value)
    with pytest.raises(WireError, match="nested too deeply"):
        encode(value, numbered)


def test_a_message_that_is_too_long_is_refused():
    with pytest.raises(WireError, match="16 MiB"):
        write_message(io.BytesIO(), "x" * MOST_BYTES)
    with pytest.raises(WireError, match="16 MiB"):
        read_message(io.BytesIO(b"x" * (MOST_BYTES + 9)))


def test_the_end_of_the_other_process_is_noticed():
    with pytest.raises(EOFError):
        read_message(io.BytesIO(b'["value", 1]'))


@pytest.mark.parametrize(
    "line", [b"{\n", b"\xff\n", b"[" * 100_000 + b"\n", b"9" * 5000 + b"\n"], ids=["cut", "bytes", "deep", "long"]
)
def test_a_line_that_is_not_json_is_refused(line):
    with pytest.raises(WireError, match="damaged"):
        read_message(io.BytesIO(line))
