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
    "text", ["", " ", "####", "#### none", "I do not know.", "Question: 5?", "½ of ٣", "\x00\x1b[m"]
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


def test_stopping_at_the_end_never_changes_the_answer():
    """The engine asks after every token; whatever the tokens are, the first end decides."""
    rng = random.Random(0)
    pieces = ["#### ", "18", "\n", " ", "Question:", "3/4", "$", "-", "so ", ",000", ".", "Q:", "####", "x"]
    ended = 0
    for _ in range(400):
        text = "".join(rng.choices(pieces, k=25))
        stops = [at for at in range(len(text) + 1) if solution_end(text[:at]) is not None]
        if stops:
            ended += 1
            assert final_number(text[: stops[0]]) == final_number(text)
    assert ended > 200


@pytest.mark.parametrize("piece", ["#### 4 x", "####", "1,", "1/", "\\frac{1}", "1 1/", "-", "\n\t", "1\u00a0"])
def test_hostile_texts_take_linear_time(piece):
    """Each text has a million characters; time that grows with the square of the length would be minutes."""
    text = piece * (10**6 // len(piece))
    assert solution_end(text) is None
    final_number(text)
