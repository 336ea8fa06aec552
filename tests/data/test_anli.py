import pyarrow.compute as pc
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.sources import open_source
from cme.errors import DataError, SourceError
from cme.prompt import prompt_text
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows import HAND_ROWS
from tests.hub_rows.inference import anli_row

SPEC = dataset("anli")


def one(**changes):
    (example,) = normalise_all([anli_row(**changes)], SPEC).examples
    return example


def test_premise_comes_first():
    example = one(premise="It rained.", hypothesis="It was wet.", label=0)
    assert example.input == "Premise: It rained.\nHypothesis: It was wet."
    assert example.match == ("It rained.", "It was wet.")
    assert example.input[slice(*example.long)] == "It rained."


@pytest.mark.parametrize(("label", "word"), [(0, "entailment"), (1, "neutral"), (2, "contradiction")])
def test_labels_keep_the_hubs_order(label, word):
    assert (one(label=label).output, one(label=label).gold) == (word, label)


@pytest.mark.parametrize("reason", ["SECRET: it follows", "", None])
def test_the_annotators_reason_is_never_shown(reason):
    example = one(reason=reason)
    assert example == one(reason="something else")
    assert "SECRET" not in prompt_text(example)


def test_a_missing_uid_changes_nothing():
    assert one(uid=None) == one(uid="x")


def test_unlabelled_rows_are_counted_not_guessed():
    outcome = normalise_all([anli_row(0, label=-1), anli_row(1, label=None), anli_row(2)], SPEC)
    assert len(outcome.examples) == 1 and outcome.dropped == {"no label": 2}


def test_a_fourth_label_is_an_error():
    with pytest.raises(
        DataError, match=r"holds 3 at row 0; expected 0 .entailment. or 1 .neutral. or 2 .contradiction."
    ):
        normalise_all([anli_row(label=3)], SPEC)


@pytest.mark.parametrize("column", ["premise", "hypothesis"])
def test_empty_texts_are_dropped_and_counted(column):
    assert normalise_all([anli_row(**{column: " "})], SPEC).dropped == {"empty text": 1}


def test_line_ends_are_unix_and_the_text_stays():
    assert one(premise=" Mixed.\r\nLine\rends. <b> ").input.startswith("Premise: Mixed.\nLine\nends. <b>\n")


def test_questions_about_one_premise_are_one_cluster():
    first, second = normalise_all([anli_row(0), anli_row(0, hypothesis="It left at noon.")], SPEC).examples
    other = one(premise="Elsewhere, nothing moved.")
    assert first.cluster == second.cluster != other.cluster
    assert first.id != second.id


@pytest.mark.parametrize(("kind", "split"), [("train", "train"), ("eval", "test")])
def test_three_rounds_are_three_parts(hand_mirror, kind, split):
    outcome = load_examples(SPEC, kind, open_source(str(hand_mirror)))
    rows = [row for k in (1, 2, 3) for row in HAND_ROWS[f"anli/{split}_r{k}"]]
    assert [example.subset for example in outcome.examples] == ["r1"] * 10 + ["r2"] * 10 + ["r3"] * 10
    assert [example.output for example in outcome.examples] == [
        ("entailment", "neutral", "contradiction")[row["label"]] for row in rows
    ]


def test_of_nine_splits_dev_is_never_read(make_mirror):
    mirror = make_mirror({name: rows for name, rows in HAND_ROWS.items() if name.startswith("anli/")})
    for k in (1, 2, 3):
        (mirror / "anli" / f"dev_r{k}.parquet").write_bytes(b"no Parquet at all")
    assert len(load_examples(SPEC, "eval", open_source(str(mirror))).examples) == 30


def test_real_rows(real_data):
    outcome = loaded(real_data, "anli", "eval")
    tables = {f"r{k}": stored(real_data, f"anli/test_r{k}") for k in (1, 2, 3)}
    assert {subset: table.num_rows for subset, table in tables.items()} == {"r1": 500, "r2": 500, "r3": 500}
    assert outcome.read == len(outcome.examples) == 1500 and not outcome.dropped
    for subset, table in tables.items():
        for label in (0, 1, 2):
            assert (
                sum(e.subset == subset and e.gold == label for e in outcome.examples)
                == pc.sum(pc.equal(table["label"], label)).as_py()
            )
    distinct = {premise for table in tables.values() for premise in table["premise"].to_pylist()}
    assert len({example.cluster for example in outcome.examples}) == len(distinct)


def test_real_training_rows_lack_round_two(real_data):
    with pytest.raises(SourceError, match=r"train_r2\.parquet is missing"):
        loaded(real_data, "anli", "train")
    outcome = loaded(real_data, "anli", "train", allow_missing=True)
    # README of the rows: 2,000 of round 1, 514 of round 3, none of them neutral.
    assert outcome.read == len(outcome.examples) == 2514
    assert not any(example.gold == 1 for example in outcome.examples if example.subset == "r3")


def test_no_real_reason_is_in_a_real_prompt(real_data):
    examples = [example for example in loaded(real_data, "anli", "eval").examples if example.subset == "r3"]
    rows = stored(real_data, "anli/test_r3").to_pylist()
    # Some annotators only quote the premise or the hypothesis.
    pairs = zip(examples, rows, strict=True)
    reasons = [(e, row["reason"]) for e, row in pairs if row["reason"] not in row["premise"] + row["hypothesis"]]
    assert len(reasons) > 400
    assert [reason for example, reason in reasons if reason in prompt_text(example)] == []
