import pyarrow as pa
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.match import gold_text, match_digest
from cme.data.sources import open_source
from cme.errors import DataError
from cme.prompt import prompt_text
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.commonsense import csqa_row

SPEC = dataset("commonsense_qa")


def options(*texts, labels="ABCDE"):
    return {"label": list(labels[: len(texts)]), "text": list(texts)}


def one(**changes):
    (example,) = normalise_all([csqa_row(**changes)], SPEC).examples
    return example


def test_a_question_with_its_five_options_on_lines():
    example = one(
        question="Where does a heron wait?", choices=options("reeds", "attic", "oven", "mine", "desk"), answerKey="A"
    )
    assert example.input == "Where does a heron wait?\nA. reeds\nB. attic\nC. oven\nD. mine\nE. desk"
    assert (example.choices, example.gold, example.output) == (("A", "B", "C", "D", "E"), 0, "A")
    assert example.answers == () and example.long is None
    assert SPEC.chance == 0.2


def test_the_hint_is_never_shown():
    row = csqa_row()
    assert row["question_concept"] not in prompt_text(one())
    assert one(question_concept=None) == one()


def test_the_key_is_looked_up_not_computed():
    assert one(choices=options("v", "w", "x", "y", "z", labels="EDCBA"), answerKey="E").gold == 0


def test_the_order_of_the_structs_fields_does_not_matter(make_mirror):
    rows, texts = [csqa_row(k) for k in range(3)], pa.list_(pa.string())
    plain = {"question": pa.string(), "answerKey": pa.string()}
    found = []
    for name, fields in (("a", ("label", "text")), ("b", ("text", "label"))):
        schema = pa.schema([*plain.items(), ("choices", pa.struct([(field, texts) for field in fields]))])
        mirror = make_mirror({"commonsense_qa/validation": pa.Table.from_pylist(rows, schema=schema)}, name)
        found.append(load_examples(SPEC, "eval", open_source(str(mirror))).examples)
    assert found[0] == found[1] and len(found[0]) == 3


def test_a_list_of_structs_is_another_file(make_mirror):
    choices = [{"label": "A", "text": "reeds"}, {"label": "B", "text": "attic"}]
    mirror = make_mirror({"commonsense_qa/validation": [csqa_row(choices=choices)]})
    with pytest.raises(DataError, match="column 'choices' is list<"):
        load_examples(SPEC, "eval", open_source(str(mirror)))


@pytest.mark.parametrize("key", ["", None])
def test_an_unlabelled_row_is_counted_not_guessed(key):
    # The test split has "" everywhere.
    outcome = normalise_all([csqa_row(0, answerKey=key), csqa_row(1)], SPEC)
    assert len(outcome.examples) == 1 and outcome.dropped == {"no label": 1}


@pytest.mark.parametrize("key", ["F", "c", "3"])
def test_a_key_that_is_no_label_is_an_error(key):
    with pytest.raises(
        DataError, match=rf"column 'answerKey' holds '{key}' at row 0; expected one of the row's labels"
    ):
        normalise_all([csqa_row(answerKey=key)], SPEC)


def test_a_right_option_that_stands_there_twice_is_dropped_and_counted():
    twice = options("reeds", "attic", "oven", "attic", "desk")
    rows = [csqa_row(0), csqa_row(1, choices=twice, answerKey="B"), csqa_row(2, choices=twice, answerKey="A")]
    outcome = normalise_all(rows, SPEC)
    assert len(outcome.examples) == 2 and outcome.dropped == {"right option twice": 1}


def test_empty_texts_are_dropped_and_counted():
    rows = [csqa_row(question=""), csqa_row(choices=options("a", "b", "c", "d", None))]
    assert normalise_all(rows, SPEC).dropped == {"empty text": 2}


def test_a_copy_with_its_options_in_another_order_is_the_same_item():
    first = one(choices=options("the reeds", "attic", "oven", "mine", "desk"), answerKey="A")
    second = one(choices=options("Desk", "mine", "Oven", "attic", "The reeds"), answerKey="E")
    assert first.id != second.id
    assert match_digest(first, SPEC) == match_digest(second, SPEC)
    assert gold_text(first, SPEC) == gold_text(second, SPEC) == "the reeds"


@pytest.mark.parametrize(
    ("kind", "split", "count", "equal"), [("train", "train", 2000, 8), ("eval", "validation", 500, 1)]
)
def test_real_rows(real_data, kind, split, count, equal):
    rows, outcome = stored(real_data, f"commonsense_qa/{split}").to_pylist(), loaded(real_data, "commonsense_qa", kind)
    kept = [
        row
        for row in rows
        if row["choices"]["text"].count(row["choices"]["text"]["ABCDE".index(row["answerKey"])]) == 1
    ]
    assert outcome.read == len(rows) == count
    assert outcome.dropped == {"right option twice": equal}
    assert len(outcome.examples) == len(kept) == count - equal
    # The golds' texts, found without our code.
    golds = [dict(zip(row["choices"]["label"], row["choices"]["text"], strict=True))[row["answerKey"]] for row in kept]
    shown = [example.input.split(f"\n{example.output}. ")[1].split("\n")[0] for example in outcome.examples]
    assert shown == [" ".join(gold.split()) for gold in golds]
