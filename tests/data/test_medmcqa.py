import pyarrow as pa
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.match import gold_text, match_digest
from cme.data.sources import open_source
from cme.errors import DataError
from cme.prompt import prompt_text
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.knowledge import medmcqa_row

SPEC = dataset("medmcqa")
OPTIONS = ("opa", "opb", "opc", "opd")


def one(**changes):
    (example,) = normalise_all([medmcqa_row(**changes)], SPEC).examples
    return example


def test_a_question_with_its_options_on_lines():
    example = one(question="What soothes a cough?", opa="salt", opb="honey", opc="lamp oil", opd="chalk", cop=1)
    assert example.input == "What soothes a cough?\nA. salt\nB. honey\nC. lamp oil\nD. chalk"
    assert (example.choices, example.gold, example.output) == (("A", "B", "C", "D"), 1, "B")
    assert example.answers == () and example.long is None and example.cluster == example.id


@pytest.mark.parametrize("cop", [0, 1, 2, 3])
def test_answers_count_from_zero_on_the_hub(cop):
    # In the raw release, and in the card's own example, 1 is the first option.
    assert (one(cop=cop).gold, one(cop=cop).output) == (cop, "ABCD"[cop])


def test_the_raw_release_which_counts_from_one_is_an_error():
    rows = [medmcqa_row(k, cop=k % 4 + 1) for k in range(4)]
    with pytest.raises(DataError, match=r"column 'cop' holds 4 at row 3; expected 0 to 3, counted from 0"):
        normalise_all(rows, SPEC)


@pytest.mark.parametrize("cop", [-1, None])
def test_an_unlabelled_row_is_counted_not_guessed(cop):
    # The test split has -1 everywhere: as an index it would be the last option.
    outcome = normalise_all([medmcqa_row(0, cop=cop), medmcqa_row(1)], SPEC)
    assert len(outcome.examples) == 1 and outcome.dropped == {"no label": 1}


def test_the_explanation_is_never_shown():
    row = medmcqa_row()
    assert row["exp"] not in prompt_text(one())
    assert one(exp=None) == one(exp="None") == one()


def test_a_question_of_several_findings_has_one_answer():
    example = one(choice_type="multi", cop=3, opd="all of these")
    assert (example.gold, example.output) == (3, "D")
    assert one(choice_type="multi") == one(choice_type="single")


def test_a_missing_topic_changes_nothing():
    assert one(topic_name=None, subject_name=None) == one(topic_name="Allergy")


@pytest.mark.parametrize("changes", [{"question": ""}, {"opa": " "}, {"opd": None}])
def test_empty_texts_are_dropped_and_counted(changes):
    assert normalise_all([medmcqa_row(**changes)], SPEC).dropped == {"empty text": 1}


def test_a_right_option_that_stands_there_twice_is_dropped_and_counted():
    outcome = normalise_all([medmcqa_row(0), medmcqa_row(1, opa="salt", opc="salt ", cop=2)], SPEC)
    assert len(outcome.examples) == 1 and outcome.dropped == {"right option twice": 1}


def test_a_copy_with_its_options_in_another_order_is_the_same_item():
    first = one(opa="the honey", opb="salt", opc="lamp oil", opd="chalk", cop=0)
    second = one(opa="Chalk", opb="lamp oil", opc="Salt", opd="The honey.", cop=3)
    assert first.id != second.id
    assert match_digest(first, SPEC) == match_digest(second, SPEC)
    assert gold_text(first, SPEC) == gold_text(second, SPEC) == "the honey"


def test_the_class_label_may_be_of_any_width(make_mirror):
    table = pa.Table.from_pylist([medmcqa_row(k) for k in range(4)])
    narrow = table.set_column(table.schema.names.index("cop"), "cop", table["cop"].cast(pa.int8()))
    found = [
        load_examples(SPEC, "eval", open_source(str(make_mirror({"medmcqa/validation": rows}, name)))).examples
        for name, rows in (("wide", table), ("narrow", narrow))
    ]
    assert found[0] == found[1] and [example.gold for example in found[0]] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("kind", "split", "count", "equal"), [("train", "train", 11, 0), ("eval", "validation", 500, 1)]
)
def test_real_rows(real_data, kind, split, count, equal):
    rows, outcome = stored(real_data, f"medmcqa/{split}").to_pylist(), loaded(real_data, "medmcqa", kind)
    kept = [row for row in rows if [row[name] for name in OPTIONS].count(row[OPTIONS[row["cop"]]]) == 1]
    assert outcome.read == len(rows) == count
    assert outcome.dropped == ({"right option twice": equal} if equal else {})
    assert len(outcome.examples) == len(kept) == count - equal
    # The golds' texts, found without our code.
    golds = [row[OPTIONS[row["cop"]]] for row in kept]
    shown = [example.input.rsplit(f"\n{example.output}. ", 1)[1].split("\n")[0] for example in outcome.examples]
    assert shown == [" ".join(gold.split()) for gold in golds]


def test_real_rows_hold_the_odd_ones(real_data):
    # What the tests above rest on: labels that count from zero, questions of several findings, missing columns.
    rows = stored(real_data, "medmcqa/validation").to_pylist()
    assert {row["cop"] for row in rows} == {0, 1, 2, 3}
    assert sum(row["choice_type"] == "multi" for row in rows) == 152
    assert sum(row["topic_name"] is None for row in rows) == 455
    assert sum(row["exp"] is None for row in rows) == 239
