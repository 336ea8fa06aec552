"""Rows of MBPP. There are no real rows here, so each trap of the published ones has a row of its own."""

import json

import pytest

from cme.data.load import normalise_all
from cme.errors import DataError
from cme.evaluation.code import program_of
from cme.sandbox import run_programs
from cme.suite import dataset
from tests.hub_rows.code import mbpp
from tests.sandbox.isolations import sandbox

SPEC = dataset("mbpp")


def one(**changes):
    (example,) = normalise_all([mbpp(7, **changes)], SPEC).examples
    return example


def names(**changes):
    return json.loads(one(**changes).answers[0])["names"]


def test_the_prompt_is_the_task_with_its_tests():
    example = one(
        text="Double the number.",
        test_list=["assert f(1) == 2", "assert f(2) == 4"],
        code="def f(x):\n    return 2 * x",
    )
    assert example.input == "Task: Double the number.\nTests:\nassert f(1) == 2\nassert f(2) == 4"
    assert example.output == "def f(x):\n    return 2 * x"
    assert example.match == ("Double the number.",)
    assert json.loads(example.answers[0]) == {
        "tests": "assert f(1) == 2\nassert f(2) == 4\n",
        "names": ["f"],
        "head": "",
    }


def test_carriage_returns_are_line_breaks():
    example = one(code="def f(x):\r\n\treturn x\r\n", text="Do\r\nit.", test_list=["assert f(1) == 1\r\n"])
    assert "\r" not in example.input + example.output + example.answers[0]
    assert example.output == "def f(x):\n\treturn x"


def test_setup_code_is_shown_and_runs_before_the_tests():
    example = one(
        code="class Node:\n    def __init__(self, v):\n        self.v = v\ndef f(node):\n    return node.v",
        test_setup_code="root = Node(4)",
        test_list=["assert f(root) == 4"],
    )
    assert example.input.endswith("Tests:\nroot = Node(4)\nassert f(root) == 4")
    assert json.loads(example.answers[0])["names"] == ["Node", "f"]
    (outcome,) = run_programs([program_of(example.output, example.answers[0])], sandbox())
    assert outcome.passed, outcome


@pytest.mark.parametrize(
    ("code", "tests", "expected"),
    [
        ("def sum(a, b):\n    return a", ["assert sum(1, 2) == 1"], ["sum"]),
        ("def f(x):\n    return x", ["assert set(f((1,))) == set((1,))"], ["f"]),
        ("def f(x):\n    return x", ["import math", "assert math.isclose(f(1), 1)"], ["f"]),
        ("def f(x):\n    return x", ["assert f([k for k in (1, 2)]) == [1, 2]"], ["f"]),
        ("def f(x):\n    return x", ["assert f(list(map(lambda k: k, (1,)))) == [1]"], ["f"]),
    ],
)
def test_names_that_the_tests_take_from_the_program(code, tests, expected):
    assert names(code=code, test_list=tests) == expected


def test_challenge_tests_are_not_scored():
    assert one(challenge_test_list=["assert f(9) == 1"]).answers == one(challenge_test_list=[]).answers


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"text": " "}, "empty text"),
        ({"code": ""}, "empty text"),
        ({"test_list": []}, "empty text"),
        ({"code": "print 'x'"}, "code that is not valid Python 3"),
        ({"test_list": ["assert f("]}, "code that is not valid Python 3"),
        ({"test_list": ["assert " + "(" * 300]}, "code that is not valid Python 3"),
        ({"test_list": ["assert 1 == 1"]}, "tests that call no function of the program"),
    ],
)
def test_rows_without_a_task_are_dropped(changes, reason):
    assert dict(normalise_all([mbpp(7, **changes)], SPEC).dropped) == {reason: 1}


def test_tests_of_another_type_are_an_error():
    with pytest.raises(DataError, match=r"column 'test_list' holds 'assert'.*a list of asserts"):
        normalise_all([mbpp(7, test_list="assert")], SPEC)


def test_problems_with_equal_texts_are_a_cluster():
    first, second = normalise_all([mbpp(7), mbpp(8, text=mbpp(7)["text"])], SPEC).examples
    assert first.cluster == second.cluster
    assert first.id != second.id


def test_solutions_pass():
    examples = normalise_all([mbpp(k) for k in range(3)], SPEC).examples
    outcomes = run_programs([program_of(item.output, item.answers[0]) for item in examples], sandbox())
    assert [outcome.status for outcome in outcomes] == ["passed"] * 3
