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


@pytest.mark.parametrize(("answer", "reference"), [("", "a ship sank"), ("?!", "a ship sank")])
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
