"""Decontamination between MBPP and HumanEval. HumanEval has no training rows, so MBPP's rows are compared with it."""

import pytest

from cme.errors import CMEError
from cme.mix import build, check_only
from tests.hub_rows.code import humaneval, mbpp

LONG = (
    "Write a function that returns the longest word of a sentence, and the first one if several words are equally long."
)
SHORT = "Write a function to count the vowels in the given text."


def docstring(k, text, *examples):
    """A row of HumanEval whose docstring is a text, with examples of calls."""
    lines = "\n    ".join([text, *examples])
    return humaneval(k, prompt=f'def plus_{k}(number: int) -> int:\n    """{lines}\n    """\n')


def detected(rows, fake_source, settings, **more):
    rows = {"mbpp/train": [*rows.pop("mbpp/train"), *(mbpp(100 + k) for k in range(40))], **rows}
    made = settings(datasets=("mbpp",), validation_share=0, allow_missing=True, **more)
    overlap = check_only(made, source=fake_source(rows)).overlap["mbpp"]
    return {name: rules for name, rules in overlap.items() if rules}


@pytest.mark.parametrize(
    ("task", "text", "rules"),
    [
        (LONG, LONG.upper(), {"exact": 1, "13-gram": 1}),
        # The docstring holds the task and more, and the task holds the docstring and more.
        (LONG, f"{LONG} Use no other function.", {"13-gram": 1}),
        (
            f"{LONG} The sentence has at least one word, and the words are separated by single spaces.",
            LONG,
            {"13-gram": 1},
        ),
        (SHORT, "Write a function to count, in the given text, the vowels.", {"token-set": 1}),
        (SHORT, "Write a function to sort the vowels in the given text.", {}),
        (SHORT, "Return the sum of two numbers.", {}),
    ],
)
def test_tasks_of_mbpp_are_compared_with_docstrings_of_humaneval(task, text, rules, fake_source, settings):
    rows = {"mbpp/train": [mbpp(1, text=task)], "mbpp/test": [mbpp(2)], "humaneval/test": [docstring(3, text)]}
    assert detected(rows, fake_source, settings) == ({"humaneval": rules} if rules else {})


def test_examples_of_calls_do_not_hide_a_task(fake_source, settings):
    examples = (">>> plus_3(1)", "4")
    rows = {
        "mbpp/train": [mbpp(1, text=LONG)],
        "mbpp/test": [mbpp(2)],
        "humaneval/test": [docstring(3, LONG, *examples)],
    }
    assert detected(rows, fake_source, settings) == {"humaneval": {"13-gram": 1}}


def test_the_rows_of_mbpp_are_compared_with_its_own_tests_and_removed(fake_source, settings):
    rows = {
        "mbpp/train": [mbpp(1, text=LONG), mbpp(4, text=SHORT), *(mbpp(100 + k) for k in range(40))],
        "mbpp/test": [mbpp(2, text=LONG)],
        "humaneval/test": [docstring(3, SHORT)],
    }
    made = settings(datasets=("mbpp",), validation_share=0, allow_missing=True)
    manifest = build(made, source=fake_source(rows))
    assert manifest.datasets["mbpp"].leaks == {"humaneval": 1, "mbpp": 1}
    assert manifest.rows == 40


def test_without_decontamination_equal_tasks_are_removed_and_others_stay(fake_source, settings):
    rows = {
        "mbpp/train": [mbpp(1, text=LONG), mbpp(4, text=SHORT)],
        "mbpp/test": [mbpp(2)],
        "humaneval/test": [docstring(3, f"{LONG} Use no other function."), docstring(5, SHORT)],
    }
    assert detected(rows, fake_source, settings, decontamination=False) == {"humaneval": {"exact": 1}}


def test_humaneval_is_never_trained_on(fake_source, settings):
    with pytest.raises(CMEError, match="humaneval"):
        check_only(settings(datasets=("humaneval",)), source=fake_source({"humaneval/test": [docstring(3, SHORT)]}))
