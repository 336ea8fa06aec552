"""ROUGE, worked out by hand from its definition (https://aclanthology.org/W04-1013): F = 2PR/(P + R)."""

import pytest

from cme.suite import dataset
from cme.suite.metrics import rouge, score_generated


def f(precision, recall):
    return pytest.approx(2 * precision * recall / (precision + recall))


def test_one_and_two_words_and_the_longest_common_subsequence():
    answer, reference = "the cat sat on a mat", "the cat lay on the mat"
    scores = rouge(answer, reference)
    # Words in common: the, cat, on, mat (the second "the" of the reference has no partner): 4 of 6 and 4 of 6.
    assert scores["rouge1"] == f(4 / 6, 4 / 6)
    # Pairs in common: "the cat" alone, of 5 and of 5.
    assert scores["rouge2"] == f(1 / 5, 1 / 5)
    # Longest common subsequence: the cat on mat.
    assert scores["rougeL"] == f(4 / 6, 4 / 6)
    assert set(scores) == {"rouge1", "rouge2", "rougeL", "rougeLsum"}


def test_order_counts_for_rouge_l_alone():
    scores = rouge("mat the on cat", "cat on the mat")
    assert scores["rouge1"] == 1.0
    assert scores["rouge2"] == 0.0
    # No two words stand in the same order in both: the longest common subsequence is one word of four.
    assert scores["rougeL"] == f(1 / 4, 1 / 4)


def test_lengths_differ():
    scores = rouge("cat", "the cat sat down")
    assert scores["rouge1"] == f(1, 1 / 4) == scores["rougeL"]
    # No pair of words in an answer of one.
    assert scores["rouge2"] == 0.0


def test_words_are_stemmed_lower_case_and_without_punctuation():
    # Porter: running → run, cats → cat.
    assert rouge("Running, CATS!", "run cat")["rouge1"] == 1.0


def test_a_repeated_word_counts_as_often_as_the_other_side_has_it():
    # "ship" twice against once: min(2, 1) = 1 of 2, 1 of 1.
    assert rouge("ship ship", "ship")["rouge1"] == f(1 / 2, 1)


def test_lsum_takes_line_by_line():
    # Lines swapped. One text: "red boats sank" or "blue boats float", 3 of 6 words in order.
    # By lines (union of each reference line's subsequences): all six words.
    scores = rouge("blue boats float\nred boats sank", "red boats sank\nblue boats float")
    assert scores["rougeL"] == f(3 / 6, 3 / 6)
    assert scores["rougeLsum"] == 1.0


def test_lsum_is_a_union_over_the_answers_lines():
    # The example of the paper (section 3.2): reference "w1 w2 w3 w4 w5", lines "w1 w2 w6 w7 w8" and "w1 w3 w8 w9 w5".
    # Union of the common subsequences w1 w2 and w1 w3 w5: four words, of 5 in the reference and of 10 in the answer.
    names = dict(enumerate(["", "oak", "elm", "ash", "fir", "yew", "box", "hop", "rye", "oat"]))

    def line(*numbers):
        return " ".join(names[number] for number in numbers)

    scores = rouge(f"{line(1, 2, 6, 7, 8)}\n{line(1, 3, 8, 9, 5)}", line(1, 2, 3, 4, 5))
    assert scores["rougeLsum"] == f(4 / 10, 4 / 5)


def test_all_four_of_a_summary_of_two_lines():
    answer = "The ferry ran aground.\nNobody on board drowned."
    reference = "A ferry ran aground near Ostby.\nAll on board are safe."
    scores = rouge(answer, reference)
    # Words: the ferry ran aground nobody on board drowned (8); a ferry ran aground near ostby all on board are safe (11).
    # In common: ferry, ran, aground, on, board: 5 of 8 right, 5 of 11 found.
    assert scores["rouge1"] == f(5 / 8, 5 / 11)
    # Pairs in common: ferry ran, ran aground, on board: 3 of 7 and 3 of 10.
    assert scores["rouge2"] == f(3 / 7, 3 / 10)
    # The five words stand in the same order on both sides.
    assert scores["rougeL"] == f(5 / 8, 5 / 11)
    # Line by line: of the first reference line ferry ran aground, of the second on board: the same five here.
    assert scores["rougeLsum"] == f(5 / 8, 5 / 11)


def test_lsum_alone_finds_a_word_that_stands_elsewhere():
    # One text: "storm harbour", 2 words in order of 4. By lines: the reference's first line finds ferry and
    # storm in lines of their own, the second finds harbour: 3 of 4 words and 3 of 4.
    answer, reference = "storm harbour\nferry today", "ferry storm\nharbour closed"
    scores = rouge(answer, reference)
    assert scores["rougeL"] == f(2 / 4, 2 / 4)
    assert scores["rougeLsum"] == f(3 / 4, 3 / 4)


def test_articles_are_words():
    # Unlike in the scores of short answers: the, ship against a, ship.
    assert rouge("the ship", "a ship")["rouge1"] == f(1 / 2, 1 / 2)


@pytest.mark.parametrize(
    ("answer", "reference", "rouge1"),
    [
        # Words are runs of a to z and 0 to 9 (rouge-score): "1,000" is two words, "1000" one.
        ("1,000 ships", "1000 ships", (1 / 3, 1 / 2)),
        ("3.5", "3 5", (1, 1)),
        # Every other letter parts words: "z rich burns" against "zurich burns".
        ("Zürich burns", "Zurich burns", (1 / 3, 1 / 2)),
        ("Zürich burns", "Zürich burns", (1, 1)),
        # Hyphens and apostrophes as well: twenty one against twenty one.
        ("twenty-one", "twenty one", (1, 1)),
        ("Ostby’s", "Ostby's", (1, 1)),
    ],
)
def test_numbers_and_other_letters(answer, reference, rouge1):
    assert rouge(answer, reference)["rouge1"] == f(*rouge1)


def test_words_of_another_script_are_no_words():
    # A known limit of rouge-score: two equal texts without a Latin letter or a digit score nothing.
    assert set(rouge("日本 пожар", "日本 пожар").values()) == {0.0}


def test_short_words_are_not_stemmed():
    # rouge-score stems words of four letters and more; Porter alone would make "wa" of "was".
    assert rouge("was", "wa")["rouge1"] == 0.0
    assert rouge("boats", "boat")["rouge1"] == 1.0


@pytest.mark.parametrize(
    ("answer", "reference"), [("", "a ship sank"), ("?!", "a ship sank"), ("a ship sank", ""), ("", "")]
)
def test_an_empty_answer_scores_nothing(answer, reference):
    assert set(rouge(answer, reference).values()) == {0.0}


def test_a_summary_is_scored_up_to_its_blank_line_with_its_own_lines_as_sentences():
    spec = dataset("cnn_dailymail")
    reference = "Red boats sank.\nBlue boats float."
    scores = score_generated(" Blue boats float.\n  Red boats sank.\n\nArticle: another one", [reference], spec)
    assert set(scores) == set(spec.metrics)
    assert scores["rouge1"] == scores["rougeLsum"] == 1.0
    assert scores["rougeL"] == f(3 / 6, 3 / 6)


def test_the_primary_score_sees_no_line_breaks():
    spec, reference = dataset("cnn_dailymail"), ["Red boats sank.\nBlue boats float."]
    lines, one = "Red boats sank.\nBlue boats float.", "Red boats sank. Blue boats float."
    assert score_generated(lines, reference, spec)["rougeL"] == score_generated(one, reference, spec)["rougeL"] == 1.0
