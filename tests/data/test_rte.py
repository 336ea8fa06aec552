import pytest

from cme.data.load import normalise_all
from cme.errors import DataError
from cme.prompt import cut_words, render
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.entailment import rte_row

SPEC = dataset("rte")


def one(**changes):
    (example,) = normalise_all([rte_row(**changes)], SPEC).examples
    return example


def test_a_pair_becomes_an_example():
    example = one(sentence1="Mara rows. Jon swims.", sentence2="Jon is in the water.", label=0)
    assert example.input == "Text: Mara rows. Jon swims.\nHypothesis: Jon is in the water."
    assert example.match == ("Mara rows. Jon swims.", "Jon is in the water.")
    assert example.input[slice(*example.long)] == "Mara rows. Jon swims."
    assert (example.dataset, example.family, example.subset) == ("rte", "textual_entailment", "rte")


@pytest.mark.parametrize(("label", "word"), [(0, "entailment"), (1, "not entailment")])
def test_zero_is_entailment(label, word):
    # The other way round than most binary labels: options in the order (no, yes) would turn every answer into its opposite.
    example = one(label=label)
    assert (example.gold, example.output, example.choices[example.gold]) == (label, word, word)
    rendered = render(example, "plain")
    assert rendered.target == rendered.continuations[label] == f" {word}"


def test_unlabelled_rows_are_counted_not_guessed():
    # GLUE's test split, larger than train, has -1 everywhere.
    outcome = normalise_all([rte_row(0, label=-1), rte_row(1), rte_row(2, label=None)], SPEC)
    assert [example.gold for example in outcome.examples] == [1]
    assert (outcome.read, outcome.dropped) == (3, {"no label": 2})


@pytest.mark.parametrize("bad", [2, True, "entailment"])
def test_another_label_is_an_error(bad):
    with pytest.raises(DataError, match=r"at row 0; expected 0 .entailment. or 1 .not entailment."):
        normalise_all([rte_row(label=bad)], SPEC)


@pytest.mark.parametrize("changes", [{"sentence1": ""}, {"sentence2": " \n"}, {"sentence1": None}])
def test_empty_texts_are_dropped_and_counted(changes):
    outcome = normalise_all([rte_row(**changes)], SPEC)
    assert outcome.examples == [] and outcome.dropped == {"empty text": 1}


def test_text_and_hypothesis_are_an_ordered_pair():
    assert one(sentence1="A.", sentence2="B.").match != one(sentence1="B.", sentence2="A.").match


def test_rows_about_one_text_are_one_cluster():
    first, second, other = normalise_all([rte_row(0), rte_row(0, sentence2="It burned."), rte_row(1)], SPEC).examples
    assert first.cluster == second.cluster != other.cluster
    assert first.id != second.id


def test_a_missing_index_changes_nothing():
    assert one(idx=None) == one(idx=7)


def test_only_the_text_is_cut():
    cut = cut_words(one(sentence1="one two three four", sentence2="five six seven"), 2)
    assert cut.input == "Text: one two\nHypothesis: five six seven"


@pytest.mark.parametrize(
    ("kind", "split", "counts", "clusters"),
    [("train", "train", (1004, 996), 1927), ("eval", "validation", (146, 131), 274)],
    ids=["train", "eval"],
)
def test_real_rows(real_data, kind, split, counts, clusters):
    table, outcome = stored(real_data, f"rte/{split}"), loaded(real_data, "rte", kind)
    assert outcome.read == table.num_rows == len(outcome.examples) == sum(counts) and not outcome.dropped
    golds = table["label"].to_pylist()
    assert (golds.count(0), golds.count(1)) == counts
    # From the file's 0 to the word, without our lists.
    assert [example.output for example in outcome.examples] == [
        ["entailment", "not entailment"][gold] for gold in golds
    ]
    for example, row in zip(outcome.examples, table.to_pylist(), strict=True):
        assert example.match == (row["sentence1"].strip(), row["sentence2"].strip())
    assert len({example.cluster for example in outcome.examples}) == clusters


def test_hardly_a_real_text_is_cut(real_data):
    counts = [
        sum(
            cut_words(example, SPEC.max_input_words) is not example
            for example in loaded(real_data, "rte", kind).examples
        )
        for kind in ("train", "eval")
    ]
    assert counts == [1, 0]
