import re

import pytest

from cme.data.load import normalise_all
from cme.prompt import cut_words, prompt_text
from cme.suite import dataset
from cme.suite.metrics import score_generated
from tests.data.real import loaded, stored
from tests.hub_rows.summaries import cnn_row

SPEC = dataset("cnn_dailymail")


def one(**changes):
    (example,) = normalise_all([cnn_row(**changes)], SPEC).examples
    return example


def test_highlights_are_one_paragraph_to_train_on_and_lines_to_score():
    example = one(article="(CNN) -- Text.", highlights="One ship sank .\nNobody died, officials say .")
    assert example.input == "Article: (CNN) -- Text."
    assert example.output == "One ship sank. Nobody died, officials say."
    assert example.answers == ("One ship sank.\nNobody died, officials say.",)


@pytest.mark.parametrize(
    ("highlights", "output"),
    [
        ("It cost $ .5 million .", "It cost $ .5 million."),
        ("Who knew ?\nNobody !", "Who knew? Nobody!"),
        ("A stop. Another . And more .", "A stop. Another. And more."),
        ("No stop at the end", "No stop at the end"),
        ("Wait ... for it .", "Wait ... for it."),
        ("Two  spaces -- 'quoted' .\r\n\r\nThird line .", "Two spaces -- 'quoted'. Third line."),
        ("NEW: A .\n \nB .", "NEW: A. B."),
    ],
)
def test_the_space_before_a_stop_goes_and_nothing_else(highlights, output):
    assert one(highlights=highlights).output == output


def test_the_trained_answer_scores_fully_against_its_own_reference():
    example = one(highlights="One ship sank .\nNobody died .")
    scores = score_generated(f" {example.output}", example.answers, SPEC)
    assert (scores["rouge1"], scores["rougeL"]) == (1.0, 1.0)


def test_a_long_article_is_cut_from_its_end_and_the_summary_is_not():
    article = " ".join(f"word{k}" for k in range(1, 1001))
    example = one(article=article, highlights=" ".join(f"high{k}" for k in range(600)))
    shorter = cut_words(example, SPEC.max_input_words)
    assert shorter.input == "Article: " + " ".join(f"word{k}" for k in range(1, SPEC.max_input_words + 1))
    assert (shorter.output, shorter.answers) == (example.output, example.answers)
    assert prompt_text(shorter).startswith(SPEC.instruction + "\n")


@pytest.mark.parametrize("changes", [{"article": ""}, {"article": None}, {"highlights": " \n "}, {"highlights": None}])
def test_rows_without_article_or_highlights_are_dropped_and_counted(changes):
    assert normalise_all([cnn_row(**changes)], SPEC).dropped == {"empty text": 1}


def test_a_missing_id_changes_nothing():
    assert one(id=None) == one(id="x")


def test_the_article_alone_makes_the_item():
    assert one(highlights="One .").match == one(highlights="Two .").match


@pytest.mark.parametrize(("kind", "split", "rows"), [("train", "train", 100), ("eval", "test", 500)])
def test_real_rows(real_data, kind, split, rows):
    table, outcome = stored(real_data, f"cnn_dailymail/{split}"), loaded(real_data, "cnn_dailymail", kind)
    assert outcome.read == table.num_rows == len(outcome.examples) == rows and not outcome.dropped
    lines = [sum(bool(line.strip()) for line in text.splitlines()) for text in table["highlights"].to_pylist()]
    assert [example.answers[0].count("\n") + 1 for example in outcome.examples] == lines
    assert [example.output for example in outcome.examples if re.search(r" [.!?]( |$)", example.output)] == []
    # Nothing but spaces before stops is changed.
    for example, text in zip(outcome.examples, table["highlights"].to_pylist(), strict=True):
        assert "".join(example.output.split()) == "".join(text.split())
