"""Short answers. Expected values follow from the official scripts' rules, worked out by hand."""

import unicodedata

import pytest

from cme.suite import dataset
from cme.suite.metrics import exact_match, extract, normalise_answer, normalise_squad, score_generated, token_f1
from cme.suite.metrics.answers import normalise_triviaqa

SQUAD, NQ, TRIVIA = dataset("squad_v2"), dataset("nq_open"), dataset("trivia_qa")


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
    ("text", "normal"),
    [
        # NFD first: one letter with its accent becomes the letter and the accent.
        ("É", "e\u0301"),
        ("Müller's Café", "mu\u0308llers cafe\u0301"),
        # Then as SQuAD: lower case, no ASCII punctuation, no articles, single spaces.
        ("The  U.S.A.", "usa"),
        ("an 1,000th-anniversary", "1000thanniversary"),
        # A full-width A is no article, and NFD does not make an ASCII letter of it.
        ("Ａ mill", "ａ mill"),
        ("“Ode”", "“ode”"),
        ("The", ""),
        ("", ""),
    ],
)
def test_natural_questions_normalisation(text, normal):
    assert normalise_answer(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Normans", "normans"),
        ("  a   quick\tanswer\n", "quick answer"),
        # Punctuation becomes a space, so words by a hyphen stay two.
        ("twenty-one", "twenty one"),
        ("1,000.50", "1 000 50"),
        ("St. Mara, Ostby", "st mara ostby"),
        ("(Mara) B. Lind", "mara b lind"),
        ("port/code:OSTBY", "port code ostby"),
        # Underscores too, as in the titles of Wikipedia.
        ("Mill_Lane", "mill lane"),
        # Articles go after punctuation: an initial A is one by then, and so is what a hyphen or an apostrophe cut off.
        ("A. A. Milne", "milne"),
        ("the-end", "end"),
        ("Vitamin A", "vitamin"),
        ("theatre Another banana", "theatre another banana"),
        # Four quote marks outside of ASCII's apostrophe are punctuation: ‘ ’ ´ `. Others are not.
        ("Miller’s Cross", "miller s cross"),
        ("Miller's Cross", "miller s cross"),
        ("Miller´s ‘Cross`", "miller s cross"),
        ("“Ode” – 1", "“ode” – 1"),
        # No decomposition, no stripping of accents.
        ("CAFÉ", "café"),
        ("\u00c9", "\u00e9"),
        ("日本!", "日本"),
        ("$5 million", "5 million"),
        ("The The", ""),
        ("?!", ""),
        ("", ""),
    ],
)
def test_triviaqas_normalisation(text, normal):
    assert normalise_triviaqa(text) == normal


@pytest.mark.parametrize(
    ("text", "squad", "triviaqa"),
    [
        # SQuAD deletes the stops: "usa". TriviaQA makes them spaces, "u s a", and then drops the lone a as an article.
        ("U.S.A.", "usa", "u s"),
        ("Jean-Luc", "jeanluc", "jean luc"),
        ("rock 'n' roll", "rock n roll", "rock n roll"),
        ("rock'n'roll", "rocknroll", "rock n roll"),
        ("24/7", "247", "24 7"),
        ("3.14", "314", "3 14"),
        ("O’Neill", "o’neill", "o neill"),
        ("O'Neill", "oneill", "o neill"),
    ],
)
def test_where_squads_and_triviaqas_normalisations_differ(text, squad, triviaqa):
    assert (normalise_squad(text), normalise_triviaqa(text)) == (squad, triviaqa)


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


@pytest.mark.parametrize(
    ("answer", "gold", "squad", "nq", "trivia"),
    [
        # The same words everywhere.
        (" The Mill", "a mill", (1, 1), (1, 1), (1, 1)),
        # "usa" against "us": nothing in common. TriviaQA: "u s" against "u s", since the a of U.S.A. is an article.
        (" U.S.", "U.S.A.", (0, 0), (0, 0), (1, 1)),
        # "jeanluc picard" against "jean luc picard": 1 of 2 right, 1 of 3 found: F1 = 2 · 1/2 · 1/3 / (5/6) = 2/5.
        # TriviaQA: three words each.
        (" Jean-Luc Picard", "Jean Luc Picard", (0, 2 / 5), (0, 2 / 5), (1, 1)),
        # The other way round: "twentyone" against "twentyone" in SQuAD, "twentyone" against "twenty one" in TriviaQA.
        (" twentyone", "twenty-one", (1, 1), (1, 1), (0, 0)),
        # "1000" against "1000". TriviaQA: "1000" against "1 000", nothing in common.
        (" 1000", "1,000", (1, 1), (1, 1), (0, 0)),
        # TriviaQA: "1 000" against "1 500": 1 of 2 on both sides.
        (" 1,000", "1,500", (0, 0), (0, 0), (0, 1 / 2)),
        # "oneill" against "o’neill"; TriviaQA takes either apostrophe.
        (" O'Neill", "O’Neill", (0, 0), (0, 0), (1, 1)),
        # One composed, one decomposed: only NQ's is blind to that.
        (" Ren\u00e9", "Rene\u0301", (0, 0), (1, 1), (0, 0)),
        # "rene keeps mill" against "rene": 1 of 3, 1 of 1: F1 = 2 · 1/3 / (4/3) = 1/2.
        (" Rene keeps a mill", "Rene", (0, 1 / 2), (0, 1 / 2), (0, 1 / 2)),
        # Nothing said.
        ("", "mill", (0, 0), (0, 0), (0, 0)),
        (" The.", "mill", (0, 0), (0, 0), (0, 0)),
        # Nothing is left of either side: they are the same, but TriviaQA's F1 asks for a common word.
        ("", "The The", (1, 1), (1, 1), (1, 0)),
        (" A.", "the", (1, 1), (1, 1), (1, 0)),
    ],
)
def test_three_datasets_three_ways_to_compare(answer, gold, squad, nq, trivia):
    for spec, expected in ((SQUAD, squad), (NQ, nq), (TRIVIA, trivia)):
        assert both(answer, [gold], spec) == pytest.approx(expected)


def test_each_score_takes_its_own_best_accepted_answer():
    # F1 against "red barn hill": 2 of 2, 2 of 3, so 2 · 1 · 2/3 / (5/3) = 4/5; against "barn": 1 of 2, 1 of 1: 2/3; against
    # "the mill" 0. No exact match.
    accepted = ["the mill", "barn", "Red-barn hill"]
    assert both(" the red barn", accepted, TRIVIA) == (0.0, pytest.approx(4 / 5))
    assert both(" the red barn", [*accepted, "Red Barn"], TRIVIA) == (1.0, 1.0)
    # SQuAD makes "redbarn hill" of the third: "barn" is the best, 2/3.
    assert both(" the red barn", accepted, SQUAD) == (0.0, pytest.approx(2 / 3))


def test_the_order_of_accepted_answers_does_not_count():
    accepted = ["12 May 1972", "May 1972", "1972", "spring"]
    for spec in (SQUAD, NQ, TRIVIA):
        # Best against the second: 2 of 3, 2 of 2: 2 · 2/3 / (5/3) = 4/5 ("12" matches no "13").
        assert both(" 13 May 1972", accepted, spec) == both(" 13 May 1972", accepted[::-1], spec)
        assert both(" 13 May 1972", accepted, spec) == (0.0, pytest.approx(4 / 5))


def test_unanswerable_means_something_in_squad_alone():
    for spec in (NQ, TRIVIA):
        assert both(" unanswerable", ["unanswerable"], spec) == (1.0, 1.0)
        assert both("", ["mill"], spec) == (0.0, 0.0)


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
