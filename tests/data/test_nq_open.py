import pytest

from cme.data.load import normalise_all
from cme.errors import DataError
from cme.suite import dataset
from cme.suite.metrics import score_generated
from tests.data.real import loaded, stored
from tests.hub_rows.open_qa import nq_row

SPEC = dataset("nq_open")


def one(**changes):
    (example,) = normalise_all([nq_row(**changes)], SPEC).examples
    return example


def test_the_first_answer_is_trained_on_and_all_are_scored():
    example = one(
        question="when was the last time anyone was on the moon", answer=["14 December 1972 UTC", "December 1972"]
    )
    assert example.input == "Question: when was the last time anyone was on the moon?"
    assert example.output == "14 December 1972 UTC"
    assert example.answers == ("14 December 1972 UTC", "December 1972")
    assert (example.choices, example.gold, example.long) == (None, None, None)


@pytest.mark.parametrize(
    ("question", "shown"), [("who is it", "who is it?"), ("who is it?", "who is it?"), (" who is it ", "who is it?")]
)
def test_one_question_mark(question, shown):
    assert one(question=question).input == f"Question: {shown}"


@pytest.mark.parametrize("alias", ["St. Louis", "1,000", "Washington, D.C.", "54 Mbit/s"])
def test_periods_and_commas_stay_in_answers(alias):
    example = one(answer=["somewhere else", alias])
    assert example.answers[1] == alias
    # What is generated is not cut at a period or a comma, so such an answer can be given.
    assert score_generated(f" {alias}\nQuestion: next", example.answers, SPEC)["exact_match"] == 1.0


def test_spaces_in_answers_are_squeezed():
    assert one(answer=["Devendra   Jhajharia\n"]).answers == ("Devendra Jhajharia",)


def test_empty_answers_are_left_out():
    assert one(answer=["", "Mara Lind", None, " "]).answers == ("Mara Lind",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"answer": []}, "no answer"), ({"answer": [" "]}, "no answer"), ({"question": ""}, "empty text")],
)
def test_rows_without_question_or_answer_are_dropped_and_counted(changes, reason):
    outcome = normalise_all([nq_row(**changes)], SPEC)
    assert outcome.examples == [] and outcome.dropped == {reason: 1}


@pytest.mark.parametrize("answer", ["Mara Lind", None])
def test_an_answer_that_is_no_list_is_an_error(answer):
    with pytest.raises(DataError, match=r"column 'answer' holds .* at row 0; expected a list of accepted answers"):
        normalise_all([nq_row(answer=answer)], SPEC)


def test_many_answers():
    golds = [f"answer {k}" for k in range(15)]
    assert one(answer=golds).answers == tuple(golds)


@pytest.mark.parametrize(("kind", "split", "rows"), [("train", "train", 2000), ("eval", "validation", 500)])
def test_real_rows(real_data, kind, split, rows):
    table, outcome = stored(real_data, f"nq_open/{split}"), loaded(real_data, "nq_open", kind)
    assert outcome.read == table.num_rows == len(outcome.examples) == rows and not outcome.dropped
    golds = table["answer"].to_pylist()
    assert [len(example.answers) for example in outcome.examples] == [len(answers) for answers in golds]
    assert [example.output for example in outcome.examples] == [" ".join(answers[0].split()) for answers in golds]
    assert all(example.input.endswith("?") and example.input.count("?") == 1 for example in outcome.examples)


def test_every_real_answer_is_accepted_as_it_stands(real_data):
    for example in loaded(real_data, "nq_open", "eval").examples:
        for alias in example.answers:
            assert score_generated(f" {alias}", example.answers, SPEC) == {"exact_match": 1.0, "f1": 1.0}
