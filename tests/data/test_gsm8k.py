import re

import pytest

from cme.data.load import normalise_all
from cme.errors import DataError
from cme.suite import dataset
from cme.suite.metrics import score_generated
from tests.data.real import loaded, stored
from tests.hub_rows.mathematics import gsm8k_row

SPEC = dataset("gsm8k")


def one(**changes):
    (example,) = normalise_all([gsm8k_row(**changes)], SPEC).examples
    return example


def test_the_worked_solution_is_trained_on_without_the_marks_of_the_calculator():
    example = one(
        question="Two boxes hold 6 eggs each. How many eggs are there?",
        answer="There are 2*6=<<2*6=12>>12 eggs.\n#### 12",
    )
    assert example.input == "Question: Two boxes hold 6 eggs each. How many eggs are there?"
    assert example.output == "There are 2*6=12 eggs.\n#### 12"
    assert example.answers == ("12",)
    assert (example.choices, example.gold, example.long) == (None, None, None)


@pytest.mark.parametrize(
    ("written", "trained"),
    [
        ("<<50*.1=5.0>>5 dollars", "5 dollars"),
        ("$<<700*1.5=1050>>1,050 each", "$1,050 each"),
        ("3 < 4 and 5 > 2", "3 < 4 and 5 > 2"),
        ("two  spaces and a tab\tthere", "two spaces and a tab there"),
    ],
)
def test_only_the_marks_are_removed(written, trained):
    assert one(answer=f"{written}\n#### 5").output == f"{trained}\n#### 5"


@pytest.mark.parametrize("number", ["1,050", "-12", "0.5", "$3"])
def test_the_number_stays_as_it_is_written(number):
    example = one(answer=f"So it is.\n#### {number}")
    assert example.answers == (number,)
    assert score_generated(example.output, example.answers, SPEC)["strict_match"] == 1.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": " "}, "empty text"),
        ({"answer": "There are 12 eggs."}, "no answer"),
        ({"answer": "There are 12 eggs.\n#### "}, "no answer"),
        ({"answer": None}, "no answer"),
    ],
)
def test_rows_without_question_or_final_number_are_dropped_and_counted(changes, reason):
    outcome = normalise_all([gsm8k_row(**changes)], SPEC)
    assert outcome.examples == [] and outcome.dropped == {reason: 1}


def test_a_final_line_without_a_number_is_an_error():
    with pytest.raises(DataError, match=r"column 'answer' holds .*a dozen.* at row 0; expected a number after ####"):
        normalise_all([gsm8k_row(answer="Twelve eggs.\n#### a dozen")], SPEC)


def test_line_breaks_of_windows_are_line_breaks():
    assert one(answer="2*6=<<2*6=12>>12\r\n#### 12\r\n").output == "2*6=12\n#### 12"


def test_every_instruction_shows_the_mark():
    assert all("####" in text for text in SPEC.instructions)


@pytest.mark.parametrize(("kind", "split", "rows"), [("train", "train", 2000), ("eval", "test", 500)])
def test_real_rows(real_data, kind, split, rows):
    table, outcome = stored(real_data, f"gsm8k/{split}"), loaded(real_data, "gsm8k", kind)
    assert outcome.read == table.num_rows == len(outcome.examples) == rows and not outcome.dropped
    for row, example in zip(table.to_pylist(), outcome.examples, strict=True):
        gold = row["answer"].split("#### ")[1].replace(",", "")
        assert example.answers[0].replace(",", "") == gold
        assert "<<" not in example.output and example.output.endswith(f"#### {example.answers[0]}")
        # Nothing but the marks and repeated spaces is removed.
        bare = re.sub(r"<<.*?>>", "", row["answer"])
        assert example.output.split() == bare.split()
        assert score_generated(example.output, example.answers, SPEC) == dict.fromkeys(SPEC.metrics, 1.0)
