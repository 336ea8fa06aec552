"""MNLI, matched and mismatched."""

from dataclasses import asdict

import pytest
import yaml

from cme.data.load import load_examples, normalise_all
from cme.data.sources import open_source
from cme.errors import DataError, SourceError, UsageError
from cme.prompt import cut_words
from cme.suite import dataset, datasets, select
from tests.data.real import loaded, stored
from tests.hub_rows.inference import mnli_row

SPEC, BESIDE = dataset("mnli"), dataset("mnli_mismatched")


def one(**changes):
    (example,) = normalise_all([mnli_row(**changes)], SPEC).examples
    return example


def test_a_pair_becomes_an_example():
    example = one(premise="It rained all day.", hypothesis="The day was dry.", label=2)
    assert example.input == "Premise: It rained all day.\nHypothesis: The day was dry."
    assert (example.choices, example.gold) == (("entailment", "neutral", "contradiction"), 2)
    assert (example.output, example.subset) == ("contradiction", "mnli")
    assert example.match == ("It rained all day.", "The day was dry.")
    assert example.input[slice(*example.long)] == "It rained all day."


@pytest.mark.parametrize(("label", "word"), [(0, "entailment"), (1, "neutral"), (2, "contradiction")])
def test_labels_keep_the_hubs_order(label, word):
    assert (one(label=label).gold, one(label=label).output) == (label, word)


def test_unlabelled_rows_are_counted_not_guessed():
    # Both test splits of GLUE have -1 everywhere.
    outcome = normalise_all([mnli_row(0, label=-1), mnli_row(1), mnli_row(2, label=None)], SPEC)
    assert [example.gold for example in outcome.examples] == [1]
    assert (outcome.read, outcome.dropped) == (3, {"no label": 2})


def test_a_fourth_label_is_an_error():
    with pytest.raises(
        DataError, match=r"column 'label' holds 3 at row 1; expected 0 .entailment. or 1 .neutral. or 2"
    ):
        normalise_all([mnli_row(0), mnli_row(1, label=3)], SPEC)


@pytest.mark.parametrize("changes", [{"premise": ""}, {"hypothesis": " \n"}, {"hypothesis": None}])
def test_empty_texts_are_dropped_and_counted(changes):
    outcome = normalise_all([mnli_row(**changes)], SPEC)
    assert outcome.examples == [] and outcome.dropped == {"empty text": 1}


def test_a_hypothesis_gets_no_full_stop_of_ours():
    # lm-eval's own task adds one; the published text stays here.
    assert one(hypothesis="it rained ").input.endswith("\nHypothesis: it rained")


def test_three_hypotheses_of_one_premise_are_one_cluster():
    rows = [mnli_row(0, hypothesis=f"Guess {k}.", label=k) for k in range(3)]
    *same, other = normalise_all([*rows, mnli_row(1)], SPEC).examples
    assert len({example.cluster for example in same}) == 1 and other.cluster != same[0].cluster
    assert len({example.id for example in same}) == 3


def test_a_missing_index_changes_nothing():
    assert one(idx=None) == one(idx=7)


def test_only_the_premise_is_cut():
    example = one(premise="so we went " * 200)
    cut = cut_words(example, SPEC.max_input_words)
    assert len(cut.input.split("\n")[0].split()) == 1 + SPEC.max_input_words
    assert cut.input.endswith(f"\nHypothesis: {mnli_row()['hypothesis']}")


def test_the_evaluation_split_is_the_matched_one(make_mirror):
    # No split is named validation; the mismatched one is never read for mnli.
    files = {"mnli/validation_matched": [mnli_row(0)], "mnli/validation_mismatched": [mnli_row(1)]}
    source = open_source(str(make_mirror(files)))
    (matched,) = load_examples(SPEC, "eval", source).examples
    (mismatched,) = load_examples(BESIDE, "eval", source).examples
    assert "the 0 kilns" in matched.input and "the 1 kilns" in mismatched.input
    assert (matched.dataset, mismatched.dataset) == ("mnli", "mnli_mismatched")


def test_mismatched_stands_beside_the_suite():
    assert (SPEC.beside, BESIDE.beside) == (False, True)
    assert "mnli" in datasets() and "mnli_mismatched" not in datasets()
    assert "mnli_mismatched" in datasets(beside=True)
    assert BESIDE not in select(["natural_language_inference"]) and SPEC in select(["natural_language_inference"])
    with pytest.raises(UsageError, match="mnli_mismatched does not count in the CME average"):
        select(["mnli_mismatched"])


def test_mismatched_is_mnli_but_for_its_evaluation_split():
    own = {"name", "task", "subsets", "rows", "beside", "path", "fingerprint"}
    ours, theirs = asdict(SPEC), asdict(BESIDE)
    assert {key for key in ours if ours[key] != theirs[key]} == own
    (matched,), (mismatched,) = SPEC.subsets, BESIDE.subsets
    assert (mismatched.folder, mismatched.config, mismatched.train) == (matched.folder, matched.config, matched.train)
    assert (matched.eval, mismatched.eval) == ("validation_matched", "validation_mismatched")
    assert SPEC.rows["train"] == BESIDE.rows["train"]


def test_lm_eval_sees_the_same_two_tasks():
    files = [yaml.safe_load(spec.path.read_text()) for spec in (SPEC, BESIDE)]
    for values, spec in zip(files, (SPEC, BESIDE), strict=True):
        assert values.pop("task") == spec.task and values.pop("dataset_kwargs") == {"cme_dataset": spec.name}
        del values["metadata"]["cme"]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("kind", "split", "rows"), [("train", "train", 2000), ("eval", "validation_matched", 500)], ids=["train", "eval"]
)
def test_real_rows(real_data, kind, split, rows):
    table, outcome = stored(real_data, f"mnli/{split}"), loaded(real_data, "mnli", kind)
    assert outcome.read == table.num_rows == len(outcome.examples) == rows and not outcome.dropped
    assert [example.gold for example in outcome.examples] == table["label"].to_pylist()
    for example, row in zip(outcome.examples, table.to_pylist(), strict=True):
        assert example.match == (row["premise"].strip(), row["hypothesis"].strip())
    assert len({example.cluster for example in outcome.examples}) == {"train": 1987, "eval": 473}[kind]


def test_hardly_a_real_premise_is_cut(real_data):
    counts = [
        sum(
            cut_words(example, SPEC.max_input_words) is not example
            for example in loaded(real_data, "mnli", kind).examples
        )
        for kind in ("train", "eval")
    ]
    assert counts == [1, 0]


def test_there_are_no_real_mismatched_rows(real_data):
    # README of the rows. What is missing is said, not replaced by the matched rows.
    with pytest.raises(SourceError, match=r"validation_mismatched\.parquet is missing"):
        loaded(real_data, "mnli_mismatched", "eval")
    assert loaded(real_data, "mnli_mismatched", "eval", allow_missing=True).read == 0
    assert loaded(real_data, "mnli_mismatched", "train").read == 2000
