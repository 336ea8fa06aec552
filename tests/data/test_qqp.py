import pyarrow.compute as pc
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.sources import open_source
from cme.errors import DataError
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.paraphrase import qqp_row

SPEC = dataset("qqp")


def one(**changes):
    (example,) = normalise_all([qqp_row(**changes)], SPEC).examples
    return example


def test_a_pair_becomes_an_example():
    example = one(question1="How tall is it?", question2="What is its height?", label=1)
    assert example.input == "Question 1: How tall is it?\nQuestion 2: What is its height?"
    assert (example.choices, example.gold, example.output) == (("not duplicate", "duplicate"), 1, "duplicate")
    assert (example.dataset, example.family, example.subset) == ("qqp", "paraphrase_detection", "qqp")
    assert example.answers == () and example.long is None
    assert example.cluster == example.id
    assert example.instruction == SPEC.instructions[0]


def test_label_zero_is_not_duplicate():
    assert (one(label=0).gold, one(label=0).output) == (0, "not duplicate")


def test_unlabelled_rows_are_counted_not_guessed():
    # GLUE's test split has -1 everywhere; a converted copy may have null.
    outcome = normalise_all([qqp_row(0, label=-1), qqp_row(1), qqp_row(2, label=None)], SPEC)
    assert [example.gold for example in outcome.examples] == [1]
    assert (outcome.read, outcome.dropped) == (3, {"no label": 2})


@pytest.mark.parametrize("bad", [2, -2, 100])
def test_a_label_out_of_range_is_named_with_its_place(make_mirror, bad):
    rows = [qqp_row(k) for k in range(5)]
    rows[3]["label"] = bad
    mirror = make_mirror({"qqp/validation": rows})
    with pytest.raises(DataError) as caught:
        load_examples(SPEC, "eval", open_source(str(mirror)))
    message = str(caught.value)
    assert f"qqp/validation: column 'label' holds {bad} at row 3" in message
    assert "expected 0 (not duplicate) or 1 (duplicate)" in message
    assert str(mirror / "qqp" / "validation.parquet") in message


@pytest.mark.parametrize("changes", [{"question1": ""}, {"question2": "  \n"}, {"question1": None}])
def test_empty_questions_are_dropped_and_counted(changes):
    outcome = normalise_all([qqp_row(**changes)], SPEC)
    assert outcome.examples == [] and outcome.dropped == {"empty text": 1}


def test_a_pair_is_the_same_item_in_either_order():
    first, second = one(question1="A?", question2="B?"), one(question1="B?", question2="A?")
    assert first.match == second.match
    assert first.input != second.input and first.id != second.id
    assert one(question1="A?", question2="C?").match != first.match


def test_a_missing_index_changes_nothing():
    # The real train rows carry no idx at all.
    assert one(idx=None) == one(idx=7)


def test_real_rows(real_data):
    for kind, split in (("train", "train"), ("eval", "validation")):
        table, outcome = stored(real_data, f"qqp/{split}"), loaded(real_data, "qqp", kind)
        texts = [pc.equal(pc.utf8_trim_whitespace(table[name]), "") for name in ("question1", "question2")]
        empty = pc.sum(pc.or_(*texts)).as_py()
        assert outcome.read == table.num_rows == {"train": 2000, "validation": 500}[split]
        assert len(outcome.examples) == table.num_rows - empty
        assert outcome.dropped == ({"empty text": empty} if empty else {})
        assert sum(example.gold for example in outcome.examples) == pc.sum(table["label"]).as_py()
