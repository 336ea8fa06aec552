import pytest

from cme.data.load import normalise_all
from cme.errors import DataError
from cme.prompt import cut_words, render
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.entailment import qnli_row

SPEC = dataset("qnli")


def one(**changes):
    (example,) = normalise_all([qnli_row(**changes)], SPEC).examples
    return example


def test_a_pair_becomes_an_example():
    example = one(question="Who rows?", sentence="Mara rows, Jon swims.", label=0)
    assert example.input == "Question: Who rows?\nSentence: Mara rows, Jon swims."
    assert example.match == ("Who rows?", "Mara rows, Jon swims.")
    assert example.input[slice(*example.long)] == "Mara rows, Jon swims."
    assert (example.dataset, example.family, example.subset) == ("qnli", "textual_entailment", "qnli")


@pytest.mark.parametrize(("label", "word"), [(0, "entailment"), (1, "not entailment")])
def test_zero_is_a_sentence_that_answers(label, word):
    example = one(label=label)
    assert (example.gold, example.output, example.choices[example.gold]) == (label, word, word)
    rendered = render(example, "plain")
    assert rendered.target == rendered.continuations[label] == f" {word}"


def test_unlabelled_rows_are_counted_not_guessed():
    outcome = normalise_all([qnli_row(0, label=-1), qnli_row(1), qnli_row(2, label=None)], SPEC)
    assert [example.gold for example in outcome.examples] == [1]
    assert (outcome.read, outcome.dropped) == (3, {"no label": 2})


@pytest.mark.parametrize("bad", [2, -2, False])
def test_another_label_is_an_error(bad):
    with pytest.raises(DataError, match=r"at row 0; expected 0 .entailment. or 1 .not entailment."):
        normalise_all([qnli_row(label=bad)], SPEC)


@pytest.mark.parametrize("changes", [{"question": ""}, {"sentence": " \n"}, {"sentence": None}])
def test_empty_texts_are_dropped_and_counted(changes):
    outcome = normalise_all([qnli_row(**changes)], SPEC)
    assert outcome.examples == [] and outcome.dropped == {"empty text": 1}


def test_rows_about_one_question_are_one_cluster():
    first, second = normalise_all([qnli_row(0), qnli_row(0, sentence="The lock is deep.", label=1)], SPEC).examples
    assert first.cluster == second.cluster != one(question="Who dug it?").cluster
    assert first.id != second.id


def test_one_sentence_for_two_questions_is_two_clusters():
    sentence = "Mara Lind built it in 1712."
    rows = [qnli_row(0, question=question, sentence=sentence) for question in ("Who built it?", "When was it built?")]
    first, second = normalise_all(rows, SPEC).examples
    assert first.cluster != second.cluster


def test_a_missing_index_changes_nothing():
    assert one(idx=None) == one(idx=7)


def test_only_the_sentence_is_cut():
    # The long part is the second line here, unlike in the other pairs.
    cut = cut_words(one(question="one two three four?", sentence="five six seven"), 2)
    assert cut.input == "Question: one two three four?\nSentence: five six"


@pytest.mark.parametrize(
    ("kind", "split", "counts", "clusters"),
    [("train", "train", (1009, 991), 1983), ("eval", "validation", (253, 247), 490)],
    ids=["train", "eval"],
)
def test_real_rows(real_data, kind, split, counts, clusters):
    table, outcome = stored(real_data, f"qnli/{split}"), loaded(real_data, "qnli", kind)
    assert outcome.read == table.num_rows == len(outcome.examples) == sum(counts) and not outcome.dropped
    golds = table["label"].to_pylist()
    assert (golds.count(0), golds.count(1)) == counts
    assert [example.output for example in outcome.examples] == [
        ["entailment", "not entailment"][gold] for gold in golds
    ]
    for example, row in zip(outcome.examples, table.to_pylist(), strict=True):
        assert example.match == (row["question"].strip(), row["sentence"].strip())
        assert example.input[slice(*example.long)] == row["sentence"].strip()
        assert cut_words(example, SPEC.max_input_words) is example
    assert len({example.cluster for example in outcome.examples}) == clusters
