"""The final number of a worked solution."""

import random
from fractions import Fraction

import pytest

from cme.suite import dataset
from cme.suite.metrics import extract, final_number, number_scores, same_number, score_generated, solution_end

SPEC = dataset("gsm8k")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("#### 18", 18),
        ("so 9 + 9 = 18\n#### 18", 18),
        ("####18", 18),
        ("#### 1,000", 1000),
        ("#### 1,234,567.50", Fraction("1234567.5")),
        ("#### $1,000.00.", 1000),
        ("#### 50%", 50),
        ("#### 18 dollars.", 18),
        ("#### -3", -3),
        ("#### $-3", -3),
        ("#### -$3", -3),
        ("#### −3", -3),
        ("#### –3", -3),
        ("#### \\$1,000", 1000),
        ("#### $\\$3$", 3),
        ("#### .5", Fraction(1, 2)),
        ("#### 3/4", Fraction(3, 4)),
        ("#### 1 1/2", Fraction(3, 2)),
        ("#### **18**", 18),
        ("#### \\boxed{18}", 18),
        ("#### 1e3", 1000),
        ("#### 1\u202f000", 1000),
        ("#### 1,00,000", 100_000),
        ("#### 1{,}000", 1000),
        ("#### 1,\\!000", 1000),
        ("#### 1\\,000", 1000),
        ("#### 1 000", 1000),
        ("#### 12 500.50 dollars", Fraction("12500.5")),
        ("#### - 3", -3),
        ("#### -\\$3", -3),
        ("#### -$ 3", -3),
        ("#### $\\boxed{-3}$", -3),
        ("#### **-3**", -3),
        ("#### +3", 3),
        ("#### -> 18", 18),
        ("#### \\tfrac{1}{2}", Fraction(1, 2)),
        ("#### \\frac12", Fraction(1, 2)),
        ("#### -\\dfrac{1}{2}", Fraction(-1, 2)),
        ("#### 1\\frac{1}{2} cups", Fraction(3, 2)),
        ("#### 18\\text{ dollars}", 18),
        ("#### \\(18\\)", 18),
        ("#### 18 dollars per day", 18),
        ("#### 18/day", 18),
        ("#### 18 m^2", 18),
        ("#### 18 USD", 18),
        ("#### 18th", 18),
        ("#### 18 ####", 18),
        ("#### 18 - 3 = 15", 15),
        ("#### 5*3=15", 15),
        ("#### $5 x 3 = $15 dollars", 15),
        ("#### (5+3)*2 = 16.", 16),
        ("#### 5*3=<<5*3=15>>15", 15),
        ("#### 10/3 ≈ 3.33", Fraction("3.33")),
        ("#### = 18", 18),
    ],
)
def test_a_marked_number(text, value):
    found = final_number(text)
    assert found is not None and (found.value, found.marked) == (value, True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The answer is 18.", 18),
        ("18", 18),
        ("5 - 8 = -3", -3),
        ("It takes 10-15 days", 15),
        ("x-5", 5),
        ("pages 3 - 4", 4),
        ("1, 2, 3", 3),
        ("1,2,3", 3),
        ("on 12/5/2020", 2020),
        ("half of it, \\frac{1}{2}", Fraction(1, 2)),
        ("at 4pm", 4),
        ("the 5th", 5),
        ("x2", 2),
        ("Rs.5", 5),
        ("8 of them cost Rs.500", 500),
        ("pages 3–4", 4),
        ("#### Step 1: add\nThat makes 7", 7),
        ("####\n7", 7),
    ],
)
def test_without_a_marked_number_the_last_one_counts(text, value):
    found = final_number(text)
    assert found is not None and (found.value, found.marked) == (value, False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("#### 1. Count the eggs", 1),
        ("#### 1) Count the eggs", 1),
        ("#### **1.** Count the eggs", 1),
        ("#### 1: Count", 1),
        ("#### 1 - Count", 1),
        ("#### 2 Money", 2),
        ("#### 1. 5*3=15", 15),
        ("#### 2x = 18", 18),
        ("#### 18 - 3", 3),
        ("#### 10-15", 15),
        ("#### 1, 2", 2),
        ("#### 1,2,3", 3),
        ("#### 18,5", 5),
        ("#### 5:30", 30),
        ("#### --3", -3),
        ("#### 10^6", 6),
        ("#### 2.5 million", Fraction("2.5")),
        ("#### 3 dozen", 3),
        ("#### 5k", 5),
        ("#### 18²", 18),
        ("#### 18½", 18),
        ("#### 1.000,50", 50),
        ("#### 18 is what the farmer earns", 18),
        ("#### 18 (3 per day)", 3),
        ("#### 18/3.5", Fraction("3.5")),
    ],
)
def test_a_line_that_may_mean_something_else_is_not_marked(text, value):
    number = final_number(text)
    assert number is not None and (number.value, number.marked) == (value, False)
    # The model may go on, so that a later line can be the marked one.
    assert solution_end(f"{text}\n") is None
    assert final_number(f"{text}\nSo it is 7.\n#### 7") == final_number("#### 7")


def test_numbered_headings_do_not_hide_the_answer():
    text = "#### 1. Count the eggs\n16 - 3 = 13\n#### 2. Money\n13 * 2 = 26\n"
    assert final_number(f"{text}#### 26") == final_number("#### 26")
    assert final_number(f"{text}She makes $26 every day.").value == 26
    assert solution_end(text) is None and solution_end(f"{text}#### 26\n") == len(f"{text}#### 26\n")


def test_a_solution_may_begin_with_its_question():
    for start in ("Question: ", "\n\n Q: ", "Sure.\nQuestion: "):
        text = f"{start}Ann has 5 eggs and buys 2. How many has she?\nAnswer: 5 + 2 = 7\n"
        assert solution_end(text) is None
        assert final_number(f"{text}#### 7").value == 7
        assert solution_end(f"{text}Question: And 9?") == len(text)
        assert final_number(f"{text}Question: And 9?").value == 7


@pytest.mark.parametrize(
    "text", ["", " ", "####", "#### none", "I do not know.", "Question: five?", "½ of ٣", "\x00\x1b[m"]
)
def test_an_answer_without_a_number_is_no_crash(text):
    assert final_number(text) is None and extract(text, SPEC) == ""
    assert score_generated(text, ("18",), SPEC) == {"flexible_match": 0.0, "strict_match": 0.0, "marked": 0.0}


@pytest.mark.parametrize("text", ["5/0", "9" * 5000, "1" + ",000" * 2000, "#### 1/" + "9" * 5000])
def test_numbers_without_a_usable_value_equal_nothing(text):
    assert final_number(text) is not None
    assert number_scores(text, ("5",))["flexible_match"] == 0.0
    assert not same_number(text, text) or final_number(text).value is not None


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1,000", "1000"),
        ("1000", "1000.0"),
        ("$1,000.00", "1000"),
        ("50%", "50"),
        ("18.", "18"),
        ("0.75", "3/4"),
        ("−2", "-2"),
    ],
)
def test_numbers_are_compared_as_numbers(left, right):
    assert same_number(left, right) and same_number(right, left)


@pytest.mark.parametrize(
    ("left", "right"), [("18", "180"), ("3", "-3"), ("0.3", "1/3"), ("1.5", "15"), ("", ""), ("one", "1")]
)
def test_other_numbers_are_other(left, right):
    assert not same_number(left, right)


def test_strict_and_flexible_differ_only_by_the_mark():
    assert number_scores("#### 18", ("18",)) == {"flexible_match": 1.0, "strict_match": 1.0, "marked": 1.0}
    assert number_scores("It is 18.", ("18",)) == {"flexible_match": 1.0, "strict_match": 0.0, "marked": 0.0}
    assert number_scores("18\n#### 19", ("18",)) == {"flexible_match": 0.0, "strict_match": 0.0, "marked": 1.0}
    assert number_scores("#### 1,050", ("7", "1050.0"))["strict_match"] == 1.0


def test_the_number_after_the_last_mark_counts():
    assert final_number("The form is #### 5, so: #### 6").value == 6


@pytest.mark.parametrize(
    "more", ["", "Question: What is 2 + 2?\n\nAnswer: 4\n#### 4\n", "And 99 more.", "\n\n#### 7\n", "#### 7", "Q: 3?\n"]
)
def test_what_follows_a_marked_line_is_not_scored(more):
    text = "3 * 6 = 18\n#### 18\n"
    assert solution_end(text + more) == len(text)
    assert final_number(text + more) == final_number(text)


def test_a_new_question_ends_the_solution():
    assert solution_end("That makes 18.\nQuestion: Now 5 boys") == len("That makes 18.\n")
    assert final_number("That makes 18.\n\nQuestion: Now 5 boys").value == 18


@pytest.mark.parametrize("text", ["#### 18", "2 + 2 = 4\n", "#### Step 1:\nadd", "The Question: is 5", "####\n"])
def test_an_unfinished_solution_goes_on(text):
    # "#### 18" may still become "#### 180".
    assert solution_end(text) is None


PIECES = {
    "signs": ["#### ", "18", "\n", "\n", " ", "Question:", "3/4", "$", "-", "so ", ",000", ".", "Q:", "####", "x"],
    "lines": [
        "#### 1. Count the eggs\n",
        "#### 2) Money\n",
        "#### Step 3: 5 + 2 = 7\n",
        "#### 18 - 3 = 15\n",
        "#### 5*3=15 eggs\n",
        "#### 1 000\n",
        "#### - 3",
        "#### 2.5 million\n",
        "#### **18** dollars.\n",
        "Question: 5 eggs?\n",
        "Q: two\n",
        "16 - 3 = 13\n",
        "So it is 26.\n",
        "= 4",
        "\n",
        " dollars",
    ],
}


@pytest.mark.parametrize("kind", PIECES)
def test_stopping_at_the_end_never_changes_the_answer(kind):
    """The engine asks after every token; whatever the tokens are, each end is the first one and decides."""
    rng = random.Random(0)
    ended = marked = 0
    for _ in range(400):
        text = "".join(rng.choices(PIECES[kind], k=12))
        whole = final_number(text)
        stops = [at for at in range(len(text) + 1) if solution_end(text[:at]) is not None]
        if stops:
            ended += 1
            marked += whole.marked
            # Once complete, a text stays complete, and its end does not move.
            assert stops == list(range(stops[0], len(text) + 1))
            assert all(solution_end(text[:at]) == solution_end(text) for at in stops)
            assert all(final_number(text[:at]) == whole for at in stops)
            assert number_scores(text[: stops[0]], ("18",)) == number_scores(text, ("18",))
    assert ended > 40 and 10 < marked < ended


@pytest.mark.parametrize("piece", ["#### 4 x", "####", "1,", "1/", "\\frac{1}", "1 1/", "-", "\n\t", "1\u00a0"])
def test_hostile_texts_take_linear_time(piece):
    """Each text has a million characters; time that grows with the square of the length would be minutes."""
    text = piece * (10**6 // len(piece))
    assert solution_end(text) is None
    final_number(text)
