import hashlib
from collections import Counter

import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.match import gold_text, match_digest
from cme.data.sources import open_source
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.science import arc_row, sciq_row

SPEC = dataset("sciq")
OPTIONS = ("correct_answer", "distractor1", "distractor2", "distractor3")
TIDES = {
    "question": "What raises the tides of the inland sea?",
    "correct_answer": "the pull of the moon",
    "distractor1": "strong winds",
    "distractor2": "warm rivers",
    "distractor3": "salt",
    "support": "The inland sea has tides. The moon pulls at its water.",
}


def one(**changes):
    (example,) = normalise_all([sciq_row(**changes)], SPEC).examples
    return example


def lines(example):
    return [line[3:] for line in example.input.split("\n")[-4:]]


def test_the_support_is_shown_as_a_passage():
    example = one(**TIDES)
    head, passage = "Passage: ", TIDES["support"]
    assert example.input.startswith(f"{head}{passage}\nQuestion: {TIDES['question']}\nA. ")
    assert example.input[slice(*example.long)] == passage


@pytest.mark.parametrize("support", ["", "  ", None])
def test_without_support_there_is_no_passage(support):
    example = one(**TIDES | {"support": support})
    assert example.input.startswith(f"{TIDES['question']}\nA. ")
    assert example.long is None
    assert lines(example) == lines(one(**TIDES))


def test_the_order_of_the_options_is_fixed_for_good():
    # Written down, so no other Python, machine or version of ours may give another one.
    example = one(**TIDES)
    by_hand = sorted(
        (TIDES[name] for name in OPTIONS),
        key=lambda option: hashlib.sha256(f"{TIDES['question']}\n{option}".encode()).hexdigest(),
    )
    assert lines(example) == by_hand == ["strong winds", "warm rivers", "the pull of the moon", "salt"]
    assert example.output == "C"


def test_the_order_does_not_depend_on_other_rows_nor_on_the_order_of_the_distractors():
    rows = [sciq_row(k) for k in range(5)]
    alone = [normalise_all([row], SPEC).examples[0].input for row in rows]
    assert [example.input for example in normalise_all(rows[::-1], SPEC).examples] == alone[::-1]
    swapped = TIDES | {"distractor1": TIDES["distractor3"], "distractor3": TIDES["distractor1"]}
    assert one(**swapped).input == one(**TIDES).input


def test_the_same_options_stand_in_another_order_below_another_question():
    orders = {tuple(lines(one(**TIDES | {"question": f"What raises tide number {k}?"}))) for k in range(40)}
    assert len(orders) > 10


def test_the_columns_are_read_by_name(hand_mirror):
    # The hub has distractor3 first and the right answer last but one.
    outcome = load_examples(SPEC, "eval", open_source(str(hand_mirror)))
    assert [lines(example)[example.gold] for example in outcome.examples] == [f"warm water {k}" for k in range(10)]


@pytest.mark.parametrize("distractor", ["the pull of the moon", "The pull of the Moon", "the  pull of the moon "])
def test_a_distractor_equal_to_the_answer_is_dropped_and_counted(distractor):
    outcome = normalise_all([sciq_row(1), sciq_row(2, **TIDES | {"distractor2": distractor})], SPEC)
    assert len(outcome.examples) == 1 and outcome.dropped == {"right option twice": 1}


@pytest.mark.parametrize("column", ["question", *OPTIONS])
def test_empty_texts_are_dropped_and_counted(column):
    assert normalise_all([sciq_row(**{column: " "})], SPEC).dropped == {"empty text": 1}


def test_the_support_is_no_part_of_what_makes_two_rows_the_same_item():
    first, second = one(**TIDES), one(**TIDES | {"support": "", "question": "what raises the tides of the inland sea"})
    assert match_digest(first, SPEC) == match_digest(second, SPEC)
    assert gold_text(first, SPEC) == gold_text(second, SPEC) == "the pull of the moon"


def test_another_right_answer_among_the_same_options_is_another_answer():
    other = one(**TIDES | {"correct_answer": TIDES["distractor1"], "distractor1": TIDES["correct_answer"]})
    assert match_digest(other, SPEC) == match_digest(one(**TIDES), SPEC)
    assert gold_text(other, SPEC) == "strong winds"


def test_a_copy_in_arc_is_found():
    texts = [TIDES[name] for name in OPTIONS]
    row = arc_row(question=TIDES["question"], choices={"text": texts, "label": list("ABCD")}, answerKey="A")
    (copy,) = normalise_all([row], dataset("arc")).examples
    assert match_digest(copy, dataset("arc")) == match_digest(one(**TIDES), SPEC)


@pytest.mark.parametrize(("kind", "split", "count", "equal"), [("train", "train", 2000, 3), ("eval", "test", 500, 0)])
def test_real_rows(real_data, kind, split, count, equal):
    rows, outcome = stored(real_data, f"sciq/{split}").to_pylist(), loaded(real_data, "sciq", kind)
    texts = [[" ".join(row[name].split()) for name in OPTIONS] for row in rows]
    kept = [(row, t) for row, t in zip(rows, texts, strict=True) if t[0].lower() not in map(str.lower, t[1:])]
    assert outcome.read == len(rows) == count
    assert outcome.dropped == ({"right option twice": equal} if equal else {})
    assert len(outcome.examples) == len(kept) == count - equal
    for example, (row, found) in zip(outcome.examples, kept, strict=True):
        assert sorted(lines(example)) == sorted(found)
        assert lines(example)[example.gold] == found[0]
        assert example.input.startswith("Passage: ") == (example.long is not None) == bool(row["support"].strip())


def test_real_rows_hold_the_odd_ones(real_data):
    # What the tests above rest on: rows without support, and an option that repeats another in another case.
    rows = stored(real_data, "sciq/train").to_pylist()
    assert sum(not row["support"].strip() for row in rows) == 2
    assert sum(len({row[name] for name in OPTIONS}) == 4 for row in rows) == 1996
    assert sum(len({row[name].lower() for name in OPTIONS}) == 4 for row in rows) == 1995


def test_the_right_answer_is_spread_evenly_over_the_letters(real_data):
    # Five standard deviations of a fair draw: 97 of 1,995 and 48 of 498.
    for kind, most in (("train", 97), ("eval", 48)):
        examples = loaded(real_data, "sciq", kind).examples
        golds = Counter(example.output for example in examples)
        assert set(golds) == set("ABCD")
        assert all(abs(count - len(examples) / 4) < most for count in golds.values())
