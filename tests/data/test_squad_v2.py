import pytest

from cme.data.load import normalise_all
from cme.errors import DataError
from cme.suite import dataset
from cme.suite.metrics import score_generated
from tests.data.real import loaded, stored
from tests.hub_rows.reading import UNANSWERED, squad_row

SPEC = dataset("squad_v2")


def one(**changes):
    (example,) = normalise_all([squad_row(**changes)], SPEC).examples
    return example


def golds(*texts):
    return {"text": list(texts), "answer_start": [0] * len(texts)}


def test_the_passage_comes_first_and_may_be_cut():
    example = one(context="The Normans came.", question="Who came?", answers=golds("The Normans"))
    assert example.input == "Passage: The Normans came.\nQuestion: Who came?"
    assert example.input[slice(*example.long)] == "The Normans came."
    assert (example.output, example.answers) == ("The Normans", ("The Normans",))
    assert example.choices is None and example.gold is None


def test_empty_answers_mean_unanswerable():
    example = one(answers=UNANSWERED)
    assert (example.output, example.answers) == ("unanswerable", ("",))
    assert score_generated(f" {example.output}", example.answers, SPEC) == {"exact_match": 1.0, "f1": 1.0}


def test_all_golds_are_scored_and_the_first_is_trained_on():
    example = one(answers=golds("10th and 11th centuries", "in the 10th and 11th centuries", "10th and 11th centuries"))
    assert example.output == "10th and 11th centuries"
    assert len(example.answers) == 3
    assert score_generated(" in the 10th and 11th centuries.", example.answers, SPEC)["exact_match"] == 1.0


def test_leading_spaces_of_a_passage_are_not_shown():
    # They count in answer_start, which is never read.
    example = one(context="  Spaces, then text. ", answers={"text": ["text"], "answer_start": [16]})
    assert example.input.startswith("Passage: Spaces, then text.\nQuestion: ")
    assert example == one(context="  Spaces, then text. ", answers={"text": ["text"], "answer_start": None})


def test_golds_of_white_space_only_are_a_damaged_row():
    # It claims to have an answer, so it is not unanswerable.
    assert normalise_all([squad_row(answers=golds(" ", ""))], SPEC).dropped == {"no answer": 1}


@pytest.mark.parametrize("answers", [None, [], {"answer_start": []}, {"text": None, "answer_start": None}])
def test_answers_of_another_shape_are_an_error_not_unanswerable(answers):
    with pytest.raises(
        DataError, match=r"column 'answers' holds .* at row 0; expected \{text: \[\.\.\.\], answer_start"
    ):
        normalise_all([squad_row(answers=answers)], SPEC)


@pytest.mark.parametrize("column", ["context", "question"])
def test_empty_texts_are_dropped_and_counted(column):
    assert normalise_all([squad_row(**{column: None})], SPEC).dropped == {"empty text": 1}


def test_missing_ids_and_titles_change_nothing():
    assert one(id=None, title=None) == one()


def test_questions_about_one_passage_are_one_cluster():
    same = normalise_all([squad_row(0), squad_row(0, question="When was it built?"), squad_row(1)], SPEC).examples
    assert same[0].cluster == same[1].cluster != same[2].cluster
    assert len({example.id for example in same}) == 3


@pytest.mark.parametrize(("kind", "split", "rows"), [("train", "train", 2000), ("eval", "validation", 500)])
def test_real_rows(real_data, kind, split, rows):
    table, outcome = stored(real_data, f"squad_v2/{split}"), loaded(real_data, "squad_v2", kind)
    assert outcome.read == table.num_rows == len(outcome.examples) == rows and not outcome.dropped
    texts = [answers["text"] for answers in table["answers"].to_pylist()]
    unanswerable = sum(not found for found in texts)
    assert unanswerable > 100
    assert sum(example.answers == ("",) for example in outcome.examples) == unanswerable
    assert sum(example.output == "unanswerable" for example in outcome.examples) == unanswerable
    assert [len(example.answers) for example in outcome.examples] == [len(found) or 1 for found in texts]
    assert len({example.cluster for example in outcome.examples}) == len(set(table["context"].to_pylist()))


def test_every_real_gold_is_in_its_passage_and_scores_one(real_data):
    for example in loaded(real_data, "squad_v2", "eval").examples:
        passage = " ".join(example.input[slice(*example.long)].split())
        assert all(gold in passage for gold in example.answers)
        assert score_generated(f" {example.output}", example.answers, SPEC) == {"exact_match": 1.0, "f1": 1.0}
