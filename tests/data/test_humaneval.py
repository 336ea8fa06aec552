import json

import pytest

from cme.data.load import normalise_all
from cme.evaluation.code import program_of
from cme.sandbox import run_programs
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.code import humaneval
from tests.sandbox.isolations import sandbox

SPEC = dataset("humaneval")


def one(**changes):
    (example,) = normalise_all([humaneval(3, **changes)], SPEC).examples
    return example


def test_the_prompt_is_the_head_and_the_tests_are_hidden():
    example = one()
    assert example.input == humaneval(3)["prompt"].strip()
    assert example.output == f"{example.input}\n    return number + 3"
    assert "candidate" not in example.input
    given = json.loads(example.answers[0])
    assert given["names"] == ["plus_3"]
    assert given["tests"].endswith("\n\ncheck(plus_3)\n")
    assert given["head"] == humaneval(3)["prompt"]


def test_rows_are_compared_by_their_docstring():
    example = one(prompt='import re\n\ndef plus_3(n):\n    """ Add three.\n    Always.\n    """\n')
    assert example.match == ("Add three.\nAlways.",)


@pytest.mark.parametrize("column", ["prompt", "canonical_solution", "test", "entry_point"])
def test_incomplete_rows_are_dropped(column):
    assert dict(normalise_all([humaneval(3, **{column: " "})], SPEC).dropped) == {"empty text": 1}


@pytest.mark.parametrize("changes", [{"prompt": "def plus_3(:"}, {"entry_point": "other"}, {"test": "def check("}])
def test_rows_that_are_not_python_are_dropped(changes):
    assert dict(normalise_all([humaneval(3, **changes)], SPEC).dropped) == {"code that is not valid Python 3": 1}


def test_it_has_no_training_rows():
    assert not SPEC.trains
    assert SPEC.subsets_of("train") == ()
    assert SPEC.rows == {"train": 0, "eval": 164}


@pytest.mark.parametrize(
    "answer",
    ["    return number + 3", "def plus_3(n):\n    return 3 + n", "```python\ndef plus_3(n): return n + 3\n```"],
)
def test_a_body_and_a_whole_function_pass(answer):
    (outcome,) = run_programs([program_of(answer, one().answers[0])], sandbox())
    assert outcome.passed, outcome


def test_a_helper_of_the_prompt_cannot_be_replaced():
    prompt = 'def helper(n):\n    return n\n\n\ndef plus_3(n):\n    """Add three."""\n'
    example = one(prompt=prompt, test="def check(candidate):\n    assert helper(candidate(1)) == 4\n")
    (outcome,) = run_programs(
        [program_of("def helper(n):\n    return 4\n\ndef plus_3(n):\n    return 0", example.answers[0])], sandbox()
    )
    assert outcome.status == "failed"


@pytest.mark.long
def test_all_published_solutions_pass(real_data):
    outcome = loaded(real_data, "humaneval", "eval")
    assert len(outcome.examples) == stored(real_data, "humaneval/test").num_rows == 164
    whole = [program_of(item.output, item.answers[0]) for item in outcome.examples]
    outcomes = run_programs(whole, sandbox())
    assert [item.id for item, result in zip(outcome.examples, outcomes, strict=True) if not result.passed] == []
