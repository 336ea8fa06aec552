import pytest

from cme.data.load import normalise_all
from cme.errors import DataError, UsageError
from cme.suite import dataset, datasets, select
from tests.data.real import loaded, stored
from tests.hub_rows.mathematics import svamp_row

SPEC = dataset("svamp")


def one(**changes):
    (example,) = normalise_all([svamp_row(**changes)], SPEC).examples
    return example


def test_body_and_question_are_one_problem_and_the_answer_is_a_number():
    example = one(Body="Oda had 9 ribbons. She gave 5 away.", Question="How many does she have?", Answer="4.0")
    assert example.input == "Question: Oda had 9 ribbons. She gave 5 away. How many does she have?"
    assert (example.output, example.answers) == ("#### 4", ("4",))


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("She gave 5 away", "She gave 5 away. How"),
        ("Did she go?", "Did she go? How"),
        ("A, B,", "A, B, How"),
        ("", "How"),
    ],
)
def test_a_body_without_a_full_stop_gets_one(body, shown):
    assert one(Body=body, Question="How many?").input == f"Question: {shown} many?"


@pytest.mark.parametrize(("answer", "number"), [("67.0", "67"), ("2.5", "2.5"), ("100", "100"), ("-3.00", "-3")])
def test_answers_are_floats_as_texts(answer, number):
    assert one(Answer=answer).answers == (number,)


def test_the_equation_is_never_shown():
    row = svamp_row()
    assert row["Equation"] not in one().input + one().output
    assert one(Equation="", Type="", question_concat="other") == one()


@pytest.mark.parametrize(("changes", "reason"), [({"Question": ""}, "empty text"), ({"Answer": " "}, "no answer")])
def test_empty_rows_are_dropped_and_counted(changes, reason):
    assert normalise_all([svamp_row(**changes)], SPEC).dropped == {reason: 1}


def test_an_answer_that_is_no_number_is_an_error():
    with pytest.raises(DataError, match=r"column 'Answer' holds 'many' at row 0; expected a number"):
        normalise_all([svamp_row(Answer="many")], SPEC)


def test_it_stands_beside_the_suite():
    assert SPEC.beside and "svamp" not in datasets("cme-r") and "svamp" in datasets("cme-r", beside=True)
    with pytest.raises(UsageError, match="svamp does not count in the CME-R average"):
        select(["svamp"])
    assert [spec.name for spec in select(["gsm8k", "svamp"])] == ["gsm8k", "svamp"]


@pytest.mark.parametrize(("kind", "split", "rows"), [("train", "train", 700), ("eval", "test", 300)])
def test_real_rows(real_data, kind, split, rows):
    table, outcome = stored(real_data, f"svamp/{split}"), loaded(real_data, "svamp", kind)
    assert outcome.read == table.num_rows == len(outcome.examples) == rows and not outcome.dropped
    for row, example in zip(table.to_pylist(), outcome.examples, strict=True):
        assert float(example.answers[0]) == float(row["Answer"])
        assert example.input.endswith(row["Question"].strip())
        assert all(word in example.input for word in row["Body"].split())
