from collections import Counter

import pyarrow as pa
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.match import canonical, gold_text, match_digest
from cme.data.sources import open_source
from cme.errors import DataError
from cme.prompt import cut_words
from cme.suite import Subset, dataset
from tests.data.real import loaded, stored
from tests.hub_rows import HAND_ROWS
from tests.hub_rows.knowledge import mmlu_row, mmlu_train_row
from tests.hub_rows.science import arc_row

SPEC = dataset("mmlu")


def one(**changes):
    (example,) = normalise_all([mmlu_row(**changes)], SPEC).examples
    return example


def test_a_question_with_its_options_on_lines():
    example = one(question="Which star is nearest?", choices=["Ondra", "Pellis", "Quor", "Ravine"], answer=2)
    assert example.input == "Which star is nearest?\nA. Ondra\nB. Pellis\nC. Quor\nD. Ravine"
    assert (example.choices, example.gold, example.output) == (("A", "B", "C", "D"), 2, "C")
    assert example.answers == () and example.cluster == example.id


@pytest.mark.parametrize("answer", [0, 1, 2, 3])
def test_answers_count_from_zero(answer):
    assert (one(answer=answer).gold, one(answer=answer).output) == (answer, "ABCD"[answer])


@pytest.mark.parametrize("answer", [4, -2, True])
def test_an_answer_out_of_range_is_an_error(answer):
    with pytest.raises(DataError, match=rf"column 'answer' holds {answer} at row 1; expected 0 to 3"):
        normalise_all([mmlu_row(0), mmlu_row(1, answer=answer)], SPEC)


def test_answers_stored_as_letters_are_another_file(make_mirror):
    mirror = make_mirror({"mmlu/test": [mmlu_row(answer="B")]})
    with pytest.raises(DataError, match="column 'answer' is string, expected int64"):
        load_examples(SPEC, "eval", open_source(str(mirror)))


@pytest.mark.parametrize("answer", [-1, None])
def test_an_unlabelled_row_is_counted_not_guessed(answer):
    assert normalise_all([mmlu_row(answer=answer)], SPEC).dropped == {"no label": 1}


@pytest.mark.parametrize("choices", [None, [], ["alone"], [f"option {k}" for k in range(11)]])
def test_options_without_a_choice_are_an_error(choices):
    with pytest.raises(DataError, match=r"column 'choices' holds .* expected 2 to 10 options"):
        normalise_all([mmlu_row(choices=choices)], SPEC)


def test_empty_texts_and_doubled_right_options_are_dropped_and_counted():
    rows = [mmlu_row(question=""), mmlu_row(choices=["a", "b", "c", None]), mmlu_row(choices=["a", "b", "c", "a"])]
    assert normalise_all(rows, SPEC).dropped == {"empty text": 2, "right option twice": 1}


def test_options_that_differ_in_case_alone_are_kept():
    # Genotypes do.
    assert one(choices=["TT", "Tt", "tt", "T"], answer=1).input.endswith("\nA. TT\nB. Tt\nC. tt\nD. T")


def test_the_subject_is_the_part():
    assert one(subject="virology").subset == "virology"
    assert one(subject="").subset == one(subject=None).subset == "mmlu"


def test_the_training_rows_are_one_part(hand_mirror):
    source = open_source(str(hand_mirror))
    assert {example.subset for example in load_examples(SPEC, "train", source).examples} == {"mmlu"}
    assert {example.subset for example in load_examples(SPEC, "eval", source).examples} == {"astronomy"}


def test_only_two_splits_are_read():
    assert SPEC.subsets == (Subset(name="mmlu", folder="mmlu", config="all", train="auxiliary_train", eval="test"),)


def test_a_copy_whose_columns_are_wrapped_in_one_is_the_same(make_mirror):
    # load_dataset("cais/mmlu", "auxiliary_train") has one column, ``train``, whose structs have the answer first.
    rows = HAND_ROWS["mmlu/auxiliary_train"]
    struct = pa.struct(
        [
            ("answer", pa.int64()),
            ("choices", pa.list_(pa.string())),
            ("question", pa.string()),
            ("subject", pa.string()),
        ]
    )
    wrapped = pa.Table.from_pylist([{"train": row} for row in rows], schema=pa.schema([("train", struct)]))
    tables = {"flat": list(rows), "wrapped": wrapped}
    flat, nested = (
        load_examples(SPEC, "train", open_source(str(make_mirror({"mmlu/auxiliary_train": table}, name)))).examples
        for name, table in tables.items()
    )
    assert wrapped.schema.names == ["train"]
    assert flat == nested and len(flat) == 10


def test_nothing_of_a_question_is_cut():
    # Its passage may stand before the question proper, behind it or in its middle.
    example = one(question="This refers to the following.\n" + "word " * 3000 + "\nWho wrote it?\n")
    assert example.long is None
    assert cut_words(example, SPEC.max_input_words) is example
    assert "\nWho wrote it?\nA. " in example.input


def test_a_line_of_the_question_that_looks_like_an_option_is_not_taken_for_one():
    example = one(question="It is so.\nA. B. Penn, The Course\nWhat does Penn say?", choices=["no", "yes"], answer=0)
    assert gold_text(example, SPEC) == "no"


def test_a_copy_with_its_options_in_another_order_is_the_same_item():
    first = one(choices=["the Ondra", "Pellis", "Quor", "Ravine"], answer=0)
    second = one(choices=["ravine", "Quor", "The Ondra.", "Pellis"], answer=2)
    assert first.id != second.id
    assert match_digest(first, SPEC) == match_digest(second, SPEC)
    assert gold_text(first, SPEC) == gold_text(second, SPEC) == "the ondra"


def test_a_copy_of_an_arc_row_is_found():
    arc, row = dataset("arc"), arc_row()
    (original,) = normalise_all([row], arc).examples
    (copy,) = normalise_all([mmlu_train_row(question=row["question"], choices=row["choices"]["text"])], SPEC).examples
    assert match_digest(copy, SPEC) == match_digest(original, arc)


@pytest.mark.parametrize(
    ("kind", "split", "count", "equal"), [("train", "auxiliary_train", 1218, 0), ("eval", "test", 500, 0)]
)
def test_real_rows(real_data, kind, split, count, equal):
    rows, outcome = stored(real_data, f"mmlu/{split}").to_pylist(), loaded(real_data, "mmlu", kind)
    kept = [row for row in rows if row["choices"].count(row["choices"][row["answer"]]) == 1]
    assert outcome.read == len(rows) == count
    assert outcome.dropped == ({"right option twice": equal} if equal else {})
    assert len(outcome.examples) == len(kept) == count - equal
    for example, row in zip(outcome.examples, kept, strict=True):
        gold = " ".join(row["choices"][row["answer"]].split())
        assert example.input.rsplit(f"\n{example.output}. ", 1)[1].split("\n")[0] == gold
        assert gold_text(example, SPEC) == canonical(gold)
        assert len(example.input.split()) < SPEC.max_input_words


def test_real_rows_are_of_56_subjects(real_data):
    # 57 in full; the sample of test rows lacks one.
    subjects = {row["subject"] for row in stored(real_data, "mmlu/dev").to_pylist()}
    found = Counter(example.subset for example in loaded(real_data, "mmlu", "eval").examples)
    assert len(subjects) == 57
    assert subjects - set(found) == {"college_physics"}
    assert len(found) == 56 and set(found) < subjects
    assert found == Counter(row["subject"] for row in stored(real_data, "mmlu/test").to_pylist())


def test_real_training_rows_name_no_subject(real_data):
    assert {row["subject"] for row in stored(real_data, "mmlu/auxiliary_train").to_pylist()} == {""}
    assert {example.subset for example in loaded(real_data, "mmlu", "train").examples} == {"mmlu"}


def test_real_questions_may_have_many_lines(real_data):
    # What the tests above rest on: passages inside questions, and a line of one that looks like an option.
    questions = [row["question"] for row in stored(real_data, "mmlu/test").to_pylist()]
    assert sum("\n" in question.strip() for question in questions) == 27
    assert sum("\nA. " in question for question in questions) == 1
    assert max(len(question.split()) for question in questions) == 586
