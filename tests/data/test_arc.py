from collections import Counter

import pyarrow as pa
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.sources import open_source
from cme.errors import DataError
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows import HAND_ROWS
from tests.hub_rows.science import arc_row

SPEC = dataset("arc")


def options(*texts, labels="ABCDEFGHIJ"):
    return {"text": list(texts), "label": list(labels[: len(texts)])}


def one(**changes):
    (example,) = normalise_all([arc_row(**changes)], SPEC).examples
    return example


def test_a_question_with_its_options_on_lines():
    example = one(question="Which one conducts?", choices=options("wood", "copper", "glass", "rubber"), answerKey="B")
    assert example.input == "Which one conducts?\nA. wood\nB. copper\nC. glass\nD. rubber"
    assert (example.choices, example.gold, example.output) == (("A", "B", "C", "D"), 1, "B")
    assert example.answers == ()


def test_digits_as_labels_are_shown_as_letters():
    example = one(choices=options("wood", "copper", "glass", "rubber", labels="1234"), answerKey="2")
    assert (example.choices, example.gold, example.output) == (("A", "B", "C", "D"), 1, "B")
    assert "B. copper" in example.input and "2" not in example.input.split("\n", 1)[1]


def test_the_key_is_looked_up_not_computed():
    # ord("C") - ord("A") would be 2.
    assert one(choices={"text": ["x", "y", "z"], "label": ["B", "C", "D"]}, answerKey="C").gold == 1


@pytest.mark.parametrize("count", [3, 4, 5])
def test_three_to_five_options(count):
    texts = [f"option {k}" for k in range(count)]
    example = one(choices=options(*texts), answerKey="ABCDE"[count - 1])
    assert example.choices == tuple("ABCDE"[:count])
    assert example.gold == count - 1
    assert example.input.count("\n") == count


def test_the_order_of_the_structs_fields_does_not_matter(make_mirror):
    rows = [arc_row(k) for k in range(3)]
    texts, labels = pa.list_(pa.string()), pa.list_(pa.string())
    plain = {"id": pa.string(), "question": pa.string(), "answerKey": pa.string()}
    mirrors = []
    for name, fields in (("a", [("text", texts), ("label", labels)]), ("b", [("label", labels), ("text", texts)])):
        table = pa.Table.from_pylist(rows, schema=pa.schema([*plain.items(), ("choices", pa.struct(fields))]))
        mirrors.append(make_mirror({"arc_easy/test": table, "arc_challenge/test": table}, name))
    first, second = (load_examples(SPEC, "eval", open_source(str(mirror))).examples for mirror in mirrors)
    assert first == second and len(first) == 6


@pytest.mark.parametrize("key", ["E", "2", "b", "AB"])
def test_a_key_that_is_no_label_is_an_error(key):
    with pytest.raises(
        DataError, match=rf"column 'answerKey' holds '{key}' at row 1; expected one of the row's labels A, B, C, D"
    ):
        normalise_all([arc_row(0), arc_row(1, answerKey=key)], SPEC)


def test_a_key_that_two_options_carry_is_an_error():
    with pytest.raises(DataError, match="'answerKey' holds 'A' at row 0"):
        normalise_all([arc_row(choices={"text": ["x", "y"], "label": ["A", "A"]}, answerKey="A")], SPEC)


@pytest.mark.parametrize("choices", [None, options(), options("alone"), {"text": ["x", "y"], "label": ["A"]}])
def test_options_without_labels_or_a_choice_are_an_error(choices):
    with pytest.raises(DataError, match=r"column 'choices' holds .* expected 2 to 10 options with one label each"):
        normalise_all([arc_row(choices=choices)], SPEC)


@pytest.mark.parametrize("key", ["", None, " "])
def test_an_unlabelled_row_is_counted_not_guessed(key):
    assert normalise_all([arc_row(answerKey=key)], SPEC).dropped == {"no label": 1}


def test_a_right_option_that_stands_there_twice_is_dropped_and_counted():
    twice = options("iron", "tin", "iron ", "lead")
    rows = [arc_row(0), arc_row(1, choices=twice, answerKey="C"), arc_row(2, choices=twice, answerKey="B")]
    outcome = normalise_all(rows, SPEC)
    assert len(outcome.examples) == 2 and outcome.dropped == {"right option twice": 1}


def test_empty_texts_are_dropped_and_counted():
    rows = [
        arc_row(question=" "),
        arc_row(choices=options("iron", "", "tin")),
        arc_row(choices=options("iron", None, "tin")),
    ]
    assert normalise_all(rows, SPEC).dropped == {"empty text": 3}


def test_an_option_stands_on_one_line():
    example = one(choices=options("two\nlines", "  spaces  between "), answerKey="B")
    assert example.input.endswith("\nA. two lines\nB. spaces between")


def test_the_same_question_is_the_same_item_in_any_order_of_options():
    first = one(choices=options("iron", "tin"), answerKey="A")
    second = one(choices=options("tin", "iron"), answerKey="B")
    assert first.match == second.match and first.id != second.id


def test_nothing_of_a_question_may_be_cut():
    # The question proper is the end of its text: cutting there would ask nothing.
    assert one().long is None


def test_two_sets_are_two_parts(hand_mirror):
    outcome = load_examples(SPEC, "eval", open_source(str(hand_mirror)))
    assert Counter(example.subset for example in outcome.examples) == {"arc_challenge": 10, "arc_easy": 10}
    assert len(HAND_ROWS["arc_easy/test"]) == 10


@pytest.mark.parametrize(("kind", "split"), [("train", "train"), ("eval", "test")])
def test_real_rows(real_data, kind, split):
    outcome = loaded(real_data, "arc", kind)
    for subset in ("arc_challenge", "arc_easy"):
        rows = stored(real_data, f"{subset}/{split}").to_pylist()
        ours = [example for example in outcome.examples if example.subset == subset]
        equal = sum(
            len({" ".join(o.split()) for o in row["choices"]["text"]}) < len(row["choices"]["text"]) for row in rows
        )
        assert equal == 0
        assert len(ours) == len(rows)
        assert Counter(len(example.choices) for example in ours) == Counter(len(row["choices"]["text"]) for row in rows)
        # The golds' texts, found without our code.
        golds = [
            dict(zip(row["choices"]["label"], row["choices"]["text"], strict=True))[row["answerKey"]] for row in rows
        ]
        assert [example.input.split(f"\n{example.output}. ")[1].split("\n")[0] for example in ours] == [
            " ".join(gold.split()) for gold in golds
        ]
    assert not outcome.dropped


def test_real_rows_hold_the_odd_ones(real_data):
    # What the tests above rest on: digits as keys, and rows of three and of five options, are in the real rows.
    rows = [row for subset in ("arc_challenge", "arc_easy") for row in stored(real_data, f"{subset}/test").to_pylist()]
    assert sum(row["answerKey"].isdigit() for row in rows) == 24
    assert {len(row["choices"]["text"]) for row in rows} == {3, 4, 5}
