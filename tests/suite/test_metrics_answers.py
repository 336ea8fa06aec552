"""Short answers. Expected values follow from the official scripts' rules, worked out by hand."""

import unicodedata

import pytest

from cme.suite import dataset
from cme.suite.metrics import exact_match, extract, normalise_answer, normalise_squad, score_generated, token_f1

SQUAD, NQ = dataset("squad_v2"), dataset("nq_open")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Normans", "normans"),
        ("  a   quick\tanswer\n", "quick answer"),
        ("an apple, the pear; A plum!", "apple pear plum"),
        # Punctuation goes first, so what was two words by a hyphen is one, and so are initials.
        ("twenty-one", "twentyone"),
        ("U.S.A.", "usa"),
        ("1,000.50", "100050"),
        # An article is a whole word: not the start of one, not a letter in one.
        ("theatre Another banana", "theatre another banana"),
        # The same order again: what looked like an article is part of a word by then.
        ("the-end", "theend"),
        # Only ASCII punctuation is punctuation to the official script.
        ("“quoted” – dash", "“quoted” – dash"),
        ("Zürich", "zürich"),
        ("$5 million", "5 million"),
        ("The", ""),
        ("?!", ""),
        ("", ""),
    ],
)
def test_squads_normalisation(text, normal):
    assert normalise_squad(text) == normal


def test_open_qa_compares_decomposed_letters():
    composed, decomposed = "Beyonc\u00e9", "Beyonce\u0301"
    assert normalise_answer(composed) == normalise_answer(decomposed) == "beyonce\u0301"
    assert normalise_squad(composed) != normalise_squad(decomposed)
    assert exact_match(composed, [decomposed], normalise_answer) == 1.0
    assert exact_match(composed, [decomposed]) == 0.0
    # NFD, not NFKD: a superscript two stays one. Accents are kept: Beyonce without one is another answer.
    assert normalise_answer("CO\u00b2") == "co\u00b2"
    assert exact_match("Beyonce", [composed], normalise_answer) == 0.0


@pytest.mark.parametrize(
    ("answer", "accepted", "score"),
    [
        ("the Eiffel Tower!", ["Eiffel Tower"], 1.0),
        ("Eiffel tower in Paris", ["Eiffel Tower"], 0.0),
        ("December 1972", ["14 December 1972 UTC", "December 1972"], 1.0),
        ("", [""], 1.0),
        ("", ["x"], 0.0),
        ("the", [""], 1.0),
        ("1000", ["1,000"], 1.0),
        ("St Louis", ["St. Louis"], 1.0),
    ],
)
def test_exact_match(answer, accepted, score):
    assert exact_match(answer, accepted) == score


@pytest.mark.parametrize(
    ("answer", "accepted", "score"),
    [
        # 2 of 3 words right, 2 of 2 found: 2 · (2/3) · 1 / (2/3 + 1) = 4/5.
        ("in 10th century", ["10th century"], 4 / 5),
        # 1 of 2 right, 1 of 4 found: 2 · 1/2 · 1/4 / (3/4) = 1/3.
        ("red barn", ["red mill by river"], 1 / 3),
        # The best over the golds: against the second 2 of 3 and 2 of 2.
        ("11th century Norman", ["10th", "11th century"], 4 / 5),
        # A repeated word counts as often as the other side has it: 1 of 3, 1 of 1: 2 · 1/3 / (4/3) = 1/2.
        ("no no no", ["no"], 1 / 2),
        # Articles are no words.
        ("the mill", ["a mill"], 1.0),
        ("mill", ["barn"], 0.0),
        # Nothing against nothing is right, nothing against something wrong, both ways.
        ("", [""], 1.0),
        ("the", [""], 1.0),
        ("mill", [""], 0.0),
        ("", ["mill"], 0.0),
    ],
)
def test_token_f1(answer, accepted, score):
    assert token_f1(answer, accepted) == pytest.approx(score)


def both(text, accepted, spec=SQUAD):
    scores = score_generated(text, accepted, spec)
    assert set(scores) == {"exact_match", "f1"} == set(spec.metrics)
    return scores["exact_match"], scores["f1"]


@pytest.mark.parametrize(
    ("text", "accepted", "em_and_f1"),
    [
        (" 10th century\nQuestion: and then?", ["10th century"], (1.0, 1.0)),
        ("\n\n 10th century", ["10th century"], (1.0, 1.0)),
        # Saying so is right where there is no answer, and wrong where there is one.
        (" unanswerable", [""], (1.0, 1.0)),
        (" Unanswerable.", [""], (1.0, 1.0)),
        ("", [""], (1.0, 1.0)),
        (" 10th century", [""], (0.0, 0.0)),
        (" unanswerable", ["10th century"], (0.0, 0.0)),
        (" unanswerable", ["unanswerable questions"], (0.0, 0.0)),
        # Official: of the accepted answers those count of which normalisation leaves something; if none, there is no answer.
        ("", ["the", "mill"], (0.0, 0.0)),
        (" unanswerable", ["the"], (1.0, 1.0)),
        (" the mill", ["the", "mill"], (1.0, 1.0)),
    ],
)
def test_squad_v2(text, accepted, em_and_f1):
    assert both(text, accepted) == em_and_f1


def test_open_qa_takes_any_accepted_answer():
    accepted = ["14 December 1972 UTC", "December 1972"]
    assert both(" december 1972.", accepted, NQ) == (1.0, 1.0)
    # Against the second: 1 of 1 right, 1 of 2 found: F1 2/3.
    assert both(" 1972", accepted, NQ) == (0.0, pytest.approx(2 / 3))
    assert both(" St. Louis, Missouri", ["St. Louis , Missouri"], NQ) == (1.0, 1.0)
    assert both(" Beyonce\u0301", ["Beyonc\u00e9"], NQ) == (1.0, 1.0)


def test_unanswerable_means_something_in_squad_alone():
    assert both(" unanswerable", ["unanswerable"], NQ) == (1.0, 1.0)
    assert both("", ["mill"], NQ) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" Paris", "Paris"),
        ("\n\nParis", "Paris"),
        ("Paris\nQuestion: what next?", "Paris"),
        ("Paris \n\nA city.", "Paris"),
        ("", ""),
        (" \n \n", ""),
    ],
)
def test_the_answer_is_the_first_line(text, answer):
    assert extract(text, NQ) == answer


def test_a_summary_is_its_lines_up_to_a_blank_one():
    summary = dataset("cnn_dailymail")
    assert extract("\n One ship.\n  Two ships.\n\nArticle: more", summary) == "One ship. Two ships."
    assert extract("", summary) == ""


def test_spelled_alike_by_unicode_scores_alike():
    # Whatever form a generated text comes in, open QA scores are the same.
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, "São Tomé and Príncipe")
        assert both(text, ["São Tomé and Príncipe"], NQ) == (1.0, 1.0)
