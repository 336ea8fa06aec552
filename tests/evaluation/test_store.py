"""Stored answers are read bitwise identical. Answers of another model and incomplete lines are not used."""

import math

import pytest

from cme.errors import CMEError
from cme.evaluation.store import Checks, Lines, Store

IDENTITY = {"base": "b", "adapter": "one", "dtype": "float32"}
BATCHES = [["first", [1, 2]], ["second", [3]], ["third", [4]]]
ANSWERS = [[(-0.1 - 2**-40, True), (-1e-300, False)], [(math.nextafter(-7, 0), False)], [("text\u2028\n\ud800", False)]]


def ask(folder, identity=IDENTITY, batches=BATCHES, **options):
    """Return the answers and the indices of the batches that were computed."""
    computed = []

    def compute(number):
        computed.append(number)
        return ANSWERS[number]

    kept = Store(folder, identity).answers(batches, compute, **options)
    return [[tuple(answer) for answer in answers] for answers in kept], computed


def test_stored_answers_are_not_computed_again(tmp_path):
    assert ask(tmp_path) == (ANSWERS, [0, 1, 2])
    assert ask(tmp_path) == (ANSWERS, [])


def test_the_order_of_computing_changes_nothing(tmp_path):
    assert ask(tmp_path, first=(2,)) == (ANSWERS, [2, 0, 1])


@pytest.mark.parametrize("changed", [{"adapter": "two"}, {"base": "c"}, {"dtype": "bfloat16"}])
def test_another_models_answers_are_not_used(tmp_path, changed):
    ask(tmp_path)
    assert ask(tmp_path, IDENTITY | changed)[1] == [0, 1, 2]
    assert ask(tmp_path)[1] == [], "both are there"


def test_a_batch_of_other_rows_is_another_batch(tmp_path):
    ask(tmp_path)
    assert ask(tmp_path, batches=[BATCHES[0], ["second", [5]], BATCHES[2]])[1] == [1]


def test_stored_batches_are_known_before_anything_is_computed(tmp_path):
    ask(tmp_path, batches=BATCHES[:1])
    assert Store(tmp_path, IDENTITY).holds(BATCHES) and not Store(tmp_path, IDENTITY).holds(BATCHES[1:])
    assert not Store(tmp_path, IDENTITY | {"adapter": "two"}).holds(BATCHES)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks(tmp_path, value):
    Store(tmp_path, IDENTITY).answers([1], lambda number: [(value, True)])
    ((logprob, best),) = Store(tmp_path, IDENTITY).answers([1], pytest.fail)[0]
    assert repr(logprob) == repr(value) and best is True


def test_a_line_torn_at_any_byte_is_cut_off(tmp_path):
    ask(tmp_path / "whole")
    content = (tmp_path / "whole" / "answers.0.jsonl").read_bytes()
    two = content.rindex(b"\n", 0, -1) + 1
    for end in range(two, len(content)):
        folder = tmp_path / str(end)
        folder.mkdir()
        (folder / "answers.0.jsonl").write_bytes(content[:end])
        assert ask(folder) == (ANSWERS, [2])
        assert ask(folder) == (ANSWERS, [])


def test_a_damaged_line_is_ignored(tmp_path):
    ask(tmp_path)
    file = tmp_path / "answers.0.jsonl"
    file.write_bytes(file.read_bytes().replace(b"true", b"fals", 1))
    assert ask(tmp_path) == (ANSWERS, [0])


def test_one_write_per_value(tmp_path, monkeypatch):
    import cme.evaluation.store as store

    seen = []
    line = store._line
    monkeypatch.setattr(store, "_line", lambda value: seen.append(value) or line(value))
    lines = Lines(tmp_path / "x" / "y.jsonl")
    for value in ({"a": 1}, [2]):
        lines.append(value)
        assert list(Lines.read(tmp_path / "x" / "y.jsonl")) == seen


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CMEError, match="cannot write"):
        ask(tmp_path / "file" / "below")


def test_costs_are_those_of_all_runs(tmp_path):
    tokens = [0]

    def compute(number):
        tokens[0] += 10
        return ANSWERS[number]

    for batches in (BATCHES[:1], BATCHES):
        Store(tmp_path, IDENTITY, tokens=lambda: tokens[0]).answers(batches, compute)
    seconds, spent = Store(tmp_path, IDENTITY).spent()
    assert spent == 30 and seconds >= 0


def test_verdicts_are_stored_per_model(tmp_path):
    kind, other = ("choice", True, False), ("text", True, True)
    checks = Checks(tmp_path, IDENTITY)
    checks.add(kind, None)
    checks.add(other, "wrong")
    assert Checks(tmp_path, IDENTITY).verdicts == {kind: None, other: "wrong"}
    assert Checks(tmp_path, IDENTITY | {"adapter": "two"}).verdicts == {}
