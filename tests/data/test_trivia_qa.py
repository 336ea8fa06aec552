import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.match import match_digest
from cme.data.sources import open_source
from cme.errors import DataError
from cme.suite import dataset
from cme.suite.metrics import score_generated
from cme.suite.metrics.answers import normalise_triviaqa
from tests.data.real import loaded, stored
from tests.hub_rows.open_qa import UNLABELLED, trivia_answer, trivia_row

SPEC = dataset("trivia_qa")


def one(**changes):
    (example,) = normalise_all([trivia_row(**changes)], SPEC).examples
    return example


def test_the_value_is_trained_on_and_all_aliases_are_scored():
    example = one(question="Who rowed first?", answer=trivia_answer("Mara Lind", "Lind, Mara", "M. Lind"))
    assert example.input == "Question: Who rowed first?"
    # Not the first alias, and not the lower-case one.
    assert example.output == "Mara Lind"
    assert example.answers == ("Mara Lind", "Lind, Mara", "M. Lind")
    assert (example.choices, example.gold, example.long) == (None, None, None)


def test_a_value_that_is_no_alias_is_accepted_too():
    example = one(answer=trivia_answer("Mara Lind") | {"aliases": ["Lind"]})
    assert (example.output, example.answers) == ("Mara Lind", ("Mara Lind", "Lind"))


def test_normalised_aliases_are_not_read():
    answer = trivia_answer("Mara Lind")
    assert one(answer=answer) == one(answer={"value": "Mara Lind", "aliases": answer["aliases"]})
    assert "mara lind" not in one(answer=answer).answers


def test_rows_of_the_test_split_have_no_answer():
    outcome = normalise_all([trivia_row(0, answer=UNLABELLED), trivia_row(1)], SPEC)
    assert len(outcome.examples) == 1 and outcome.dropped == {"no answer": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": " "}, "empty text"),
        ({"question": None}, "empty text"),
        ({"answer": trivia_answer("") | {"aliases": []}}, "no answer"),
        ({"answer": trivia_answer("Lind") | {"value": None}}, "no answer"),
    ],
)
def test_rows_without_question_or_answer_are_dropped_and_counted(changes, reason):
    outcome = normalise_all([trivia_row(**changes)], SPEC)
    assert outcome.examples == [] and outcome.dropped == {reason: 1}


@pytest.mark.parametrize("answer", [None, "Mara Lind", {"value": "Mara Lind"}, {"value": "x", "aliases": None}])
def test_an_answer_of_another_shape_is_an_error(answer):
    with pytest.raises(DataError, match=r"column 'answer' holds .* at row 0; expected \{value: \.\.\., aliases"):
        normalise_all([trivia_row(answer=answer)], SPEC)


QUOTED = [
    ('"Who wrote ""The Kiln""?"', 'Who wrote "The Kiln"?'),
    ('"""The Kiln"" is by whom?"', '"The Kiln" is by whom?'),
    ('"Which play has the line ""It burns?"""', 'Which play has the line "It burns?"'),
    # Quotes as they should be stay.
    ('Who wrote "The Kiln"?', 'Who wrote "The Kiln"?'),
    ('"The Kiln" is by whom?', '"The Kiln" is by whom?'),
    ('"Is it ""The Kiln"" or "The Mill"?', '"Is it ""The Kiln"" or "The Mill"?'),
    ('Is it "The Kiln" or "The Mill"', 'Is it "The Kiln" or "The Mill"'),
]


@pytest.mark.parametrize(("stored_as", "shown"), QUOTED)
def test_quotes_doubled_in_a_table_are_single_again(stored_as, shown):
    assert one(question=stored_as).input == f"Question: {shown}"


@pytest.mark.parametrize(
    ("value", "trained_on"),
    [
        ('"""here be kilns"""', '"here be kilns"'),
        # Two answers of the real rows are cut in the middle of such a field.
        ('"The Seven Kilns by M', "The Seven Kilns by M"),
        ('"""Fire in the Kiln"" by the', '"Fire in the Kiln" by the'),
        ("6' 2\"", "6' 2\""),
    ],
)
def test_answers_lose_such_quotes_too(value, trained_on):
    example = one(answer=trivia_answer(value))
    assert (example.output, example.answers) == (trained_on, (trained_on,))


def test_no_question_mark_is_added():
    # Unlike Natural Questions: requests end in a full stop, hints follow the question.
    assert one(question="Name the first ferry.").input == "Question: Name the first ferry."


def test_a_missing_question_id_changes_nothing():
    assert one(question_id=None, question_source=None) == one()


def test_a_repeated_question_is_kept_with_distinct_ids(make_mirror):
    # As in a copy made from rc.nocontext: the same row for the web and for the Wikipedia reading, under one question_id.
    mirror = make_mirror({"trivia_qa/validation": [trivia_row(0), trivia_row(1), trivia_row(0)]})
    outcome = load_examples(SPEC, "eval", open_source(str(mirror)))
    first, _, again = outcome.examples
    assert len({example.id for example in outcome.examples}) == outcome.read == 3
    assert first.id == one().id
    assert match_digest(first, SPEC) == match_digest(again, SPEC)


def test_the_hidden_test_split_is_never_read(make_mirror):
    mirror = make_mirror({"trivia_qa/validation": [trivia_row(0)]})
    (mirror / "trivia_qa" / "test.parquet").write_bytes(b"no Parquet at all")
    assert len(load_examples(SPEC, "eval", open_source(str(mirror))).examples) == 1


@pytest.mark.parametrize(
    ("kind", "split", "rows", "unescaped"), [("train", "train", 140, 6), ("eval", "validation", 500, 37)]
)
def test_real_rows(real_data, kind, split, rows, unescaped):
    table, outcome = stored(real_data, f"trivia_qa/{split}"), loaded(real_data, "trivia_qa", kind)
    assert outcome.read == table.num_rows == len(outcome.examples) == rows and not outcome.dropped
    questions, golds = table["question"].to_pylist(), table["answer"].to_pylist()
    shown = [example.input.removeprefix("Question: ") for example in outcome.examples]
    assert sum('""' in question for question in questions) == unescaped
    assert sum(ours != question for ours, question in zip(shown, questions, strict=True)) == unescaped
    assert not any('""' in question for question in shown)
    # No question of the real rows occurs twice.
    assert len(set(questions)) == rows
    for example, gold in zip(outcome.examples, golds, strict=True):
        plain = {" ".join(alias.split()) for alias in [gold["value"], *gold["aliases"]] if '"' not in alias}
        assert plain <= set(example.answers)
        assert len(example.answers) == len(gold["aliases"])
        assert example.output == " ".join(gold["value"].split()) or '"' in gold["value"]


def test_every_real_answer_is_accepted_as_it_stands(real_data):
    for example in loaded(real_data, "trivia_qa", "eval").examples:
        for alias in example.answers:
            assert score_generated(f" {alias}", example.answers, SPEC) == {"exact_match": 1.0, "f1": 1.0}


@pytest.mark.parametrize("split", ["train", "validation"])
def test_our_normalisation_gives_the_normalised_aliases_of_the_file(real_data, split):
    for answer in stored(real_data, f"trivia_qa/{split}")["answer"].to_pylist():
        assert {normalise_triviaqa(alias) for alias in answer["aliases"]} == set(answer["normalized_aliases"])
        assert normalise_triviaqa(answer["value"]) == answer["normalized_value"]
