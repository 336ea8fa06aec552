import pytest

from cme.data.load import normalise_all
from cme.data.match import gold_text, match_digest
from cme.errors import DataError
from cme.prompt import prompt_text
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.mathematics import aqua_row

SPEC = dataset("aqua_rat")


def one(**changes):
    (example,) = normalise_all([aqua_row(**changes)], SPEC).examples
    return example


def test_options_lose_the_letter_that_they_bring():
    example = one(question="What is 2 + 3?", options=["A)4", "B) 5", "C)6 ", "D)7", "E)None of these"], correct="B")
    assert example.input == "What is 2 + 3?\nA. 4\nB. 5\nC. 6\nD. 7\nE. None of these"
    assert (example.choices, example.gold, example.output) == (tuple("ABCDE"), 1, "B")


def test_only_the_options_own_letter_is_removed():
    example = one(options=["A)C) and D)", "B)a)b", "C)(x)", "no letter", "E)E)"], correct="C")
    assert example.input.split("\n")[1:] == ["A. C) and D)", "B. a)b", "C. (x)", "D. no letter", "E. E)"]


@pytest.mark.parametrize("letter", "ABCDE")
def test_the_right_option_is_named_by_letter(letter):
    assert (one(correct=letter).output, one(correct=letter).gold) == (letter, "ABCDE".index(letter))


def test_the_rationale_is_never_shown_or_trained_on():
    row = aqua_row()
    assert row["rationale"] not in prompt_text(one()) and one().output == "A"
    assert one(rationale="The answer is B.") == one(rationale="") == one()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": ""}, "empty text"),
        ({"options": ["A)1", "B)", "C)2", "D)3", "E)4"]}, "empty text"),
        ({"correct": ""}, "no label"),
        ({"options": ["A)1", "B)1", "C)2", "D)3", "E)4"]}, "right option twice"),
    ],
)
def test_rows_that_have_no_answer_are_dropped_and_counted(changes, reason):
    assert normalise_all([aqua_row(**changes)], SPEC).dropped == {reason: 1}


@pytest.mark.parametrize("correct", ["F", "AB", "a", "1"])
def test_an_answer_that_is_no_letter_is_an_error(correct):
    with pytest.raises(
        DataError, match=r"column 'correct' holds .* at row 0; expected one of the letters A, B, C, D, E"
    ):
        normalise_all([aqua_row(correct=correct)], SPEC)


def test_wrong_options_may_be_equal():
    assert one(options=["A)1", "B)2", "C)2", "D)3", "E)4"], correct="A").gold == 0


def test_a_copy_with_its_options_in_another_order_is_the_same_item():
    first = one(options=["A)4", "B)5", "C)6", "D)7", "E)8"], correct="B")
    second = one(options=["A)8", "B)7", "C)6", "D)5", "E)4"], correct="D")
    assert first.id != second.id
    assert match_digest(first, SPEC) == match_digest(second, SPEC)
    assert gold_text(first, SPEC) == gold_text(second, SPEC) == "5"


def test_real_rows(real_data):
    rows, outcome = stored(real_data, "aqua_rat/test").to_pylist(), loaded(real_data, "aqua_rat", "eval")
    assert outcome.read == 254 and outcome.dropped == {"right option twice": 4}
    texts = [[option[2:].strip() for option in row["options"]] for row in rows]
    golds = [options["ABCDE".index(row["correct"])] for row, options in zip(rows, texts, strict=True)]
    kept = [gold for gold, options in zip(golds, texts, strict=True) if options.count(gold) == 1]
    shown = [example.input.rsplit(f"\n{example.output}. ", 1)[1].split("\n")[0] for example in outcome.examples]
    assert [" ".join(gold.split()) for gold in kept] == shown
