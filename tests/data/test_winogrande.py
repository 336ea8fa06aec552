from collections import Counter

import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.match import gold_text, match_digest
from cme.data.sources import open_source
from cme.errors import DataError
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.commonsense import winogrande_row

SPEC = dataset("winogrande")


def one(**changes):
    (example,) = normalise_all([winogrande_row(**changes)], SPEC).examples
    return example


def test_a_sentence_with_two_options_on_lines():
    example = one(sentence="The kite tore since the _ was thin.", option1="cloth", option2="cord", answer="1")
    assert example.input == "The kite tore since the _ was thin.\nA. cloth\nB. cord"
    assert (example.choices, example.gold, example.output) == (("A", "B"), 0, "A")
    assert example.answers == () and example.long is None
    assert SPEC.chance == 0.5


@pytest.mark.parametrize(("answer", "gold"), [("1", 0), ("2", 1), (" 2 ", 1)])
def test_answers_are_texts_that_count_from_one(answer, gold):
    assert one(answer=answer).gold == gold


@pytest.mark.parametrize("answer", ["0", "3", "A", "ladder 0", "1.0"])
def test_another_answer_is_an_error(answer):
    with pytest.raises(DataError, match=rf"column 'answer' holds '{answer}' at row 1; expected '1' or '2'"):
        normalise_all([winogrande_row(0), winogrande_row(1, answer=answer)], SPEC)


def test_answers_stored_as_numbers_are_another_file(make_mirror):
    mirror = make_mirror({"winogrande/validation": [winogrande_row(answer=1)]})
    with pytest.raises(DataError, match="column 'answer' is int64, expected string"):
        load_examples(SPEC, "eval", open_source(str(mirror)))


@pytest.mark.parametrize("answer", ["", None])
def test_an_unlabelled_row_is_counted_not_guessed(answer):
    # The test split has "" everywhere.
    outcome = normalise_all([winogrande_row(0, answer=answer), winogrande_row(1)], SPEC)
    assert len(outcome.examples) == 1 and outcome.dropped == {"no label": 1}


@pytest.mark.parametrize(
    "sentence", ["The ladder was too short.", "The _ was shorter than the _.", "It stood there __."]
)
def test_a_sentence_without_one_blank_is_dropped_and_counted(sentence):
    assert normalise_all([winogrande_row(sentence=sentence)], SPEC).dropped == {"not one blank": 1}


@pytest.mark.parametrize("changes", [{"sentence": " "}, {"option1": ""}, {"option2": None}])
def test_empty_texts_are_dropped_and_counted(changes):
    assert normalise_all([winogrande_row(**changes)], SPEC).dropped == {"empty text": 1}


def test_a_right_option_that_stands_there_twice_is_dropped_and_counted():
    assert normalise_all([winogrande_row(option1="ladder", option2="ladder ")], SPEC).dropped == {
        "right option twice": 1
    }


def test_twins_share_a_cluster_in_either_order_and_case():
    first = one(sentence="The ladder missed the shelf as the _ was short.", option1="ladder", option2="shelf")
    second = one(sentence="The ladder missed the shelf as the _ was high.", option1="shelf", option2="ladder")
    third = one(sentence="The _ was too high for the ladder.", option1="Shelf", option2="Ladder")
    assert first.cluster == second.cluster == third.cluster
    assert len({first.id, second.id, third.id}) == 3
    assert one(option1="ladder", option2="table").cluster != first.cluster
    assert len(first.cluster) == 16 and not SPEC.cluster


def test_twins_are_two_items():
    first = one(sentence="The ladder missed the shelf as the _ was short.")
    second = one(sentence="The ladder missed the shelf as the _ was high.")
    assert match_digest(first, SPEC) != match_digest(second, SPEC)


def test_a_copy_with_its_options_swapped_is_the_same_item():
    first = one(option1="the ladder", option2="shelf", answer="1")
    second = one(option1="Shelf", option2="The ladder.", answer="2")
    assert first.id != second.id
    assert match_digest(first, SPEC) == match_digest(second, SPEC)
    assert gold_text(first, SPEC) == gold_text(second, SPEC) == "the ladder"


@pytest.mark.parametrize(("kind", "split", "count"), [("train", "train", 2000), ("eval", "validation", 500)])
def test_real_rows(real_data, kind, split, count):
    rows, outcome = stored(real_data, f"winogrande/{split}").to_pylist(), loaded(real_data, "winogrande", kind)
    assert outcome.read == len(outcome.examples) == len(rows) == count
    assert not outcome.dropped
    assert all(row["sentence"].count("_") == 1 for row in rows)
    # The golds' texts, found without our code.
    golds = [row["option1"] if row["answer"] == "1" else row["option2"] for row in rows]
    shown = [example.input.split(f"\n{example.output}. ")[1].split("\n")[0] for example in outcome.examples]
    assert shown == [" ".join(gold.split()) for gold in golds]


def test_real_rows_hold_twins(real_data):
    sizes = {
        kind: Counter(Counter(example.cluster for example in loaded(real_data, "winogrande", kind).examples).values())
        for kind in ("train", "eval")
    }
    assert sizes["eval"] == {1: 350, 2: 60, 3: 6, 4: 3}
    assert sizes["train"] == {1: 976, 2: 270, 3: 80, 4: 40, 5: 7, 6: 7, 7: 1}
