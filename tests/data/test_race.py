from collections import Counter

import pytest

from cme.data.load import normalise_all
from cme.data.match import canonical, gold_text, match_digest
from cme.errors import DataError
from cme.prompt import cut_words
from cme.suite import Subset, dataset
from tests.data.real import loaded, stored
from tests.hub_rows.knowledge import mmlu_train_row
from tests.hub_rows.reading import race_row

SPEC = dataset("race")


def one(**changes):
    (example,) = normalise_all([race_row(**changes)], SPEC).examples
    return example


def test_passage_question_and_options():
    example = one(
        article="Pia missed the ferry.\nShe walked.", question="How did Pia go?", options=["by ferry", "on foot"]
    )
    assert example.input == (
        "Passage: Pia missed the ferry.\nShe walked.\nQuestion: How did Pia go?\nA. by ferry\nB. on foot"
    )
    assert (example.choices, example.gold, example.output) == (("A", "B"), 1, "B")
    assert example.input[slice(*example.long)] == "Pia missed the ferry.\nShe walked."
    assert example.answers == ()


def test_the_blank_of_a_sentence_to_complete_is_left_as_it_is():
    assert "\nQuestion: Pia went home    _  .\nA. " in one(question="Pia went home    _  .").input


def test_the_article_alone_is_cut():
    example = one(article="word " * 900, question="Question? " * 500)
    shorter = cut_words(example, SPEC.max_input_words)
    assert shorter.input[slice(*shorter.long)].split() == ["word"] * SPEC.max_input_words
    assert shorter.input[shorter.long[1] :] == example.input[example.long[1] :]


def test_questions_about_one_article_share_a_cluster():
    article = race_row(0)["article"]
    first, second = one(number=0), one(number=1, article=article, example_id="middle0.txt")
    assert first.cluster == second.cluster != one(number=1).cluster
    assert first.id != second.id


def test_one_configuration_holds_both_levels():
    assert SPEC.subsets == (Subset(name="race", folder="race", config="all", train="train", eval="test"),)


@pytest.mark.parametrize("answer", ["E", "a", "AB", "2"])
def test_an_answer_that_is_no_letter_of_an_option_is_an_error(answer):
    with pytest.raises(
        DataError, match=rf"column 'answer' holds '{answer}' at row 1; expected one of the letters A, B, C, D"
    ):
        normalise_all([race_row(0), race_row(1, answer=answer)], SPEC)


@pytest.mark.parametrize("options", [None, [], ["alone"], [f"option {k}" for k in range(11)]])
def test_options_without_a_choice_are_an_error(options):
    with pytest.raises(DataError, match=r"column 'options' holds .* expected 2 to 10 options"):
        normalise_all([race_row(options=options)], SPEC)


@pytest.mark.parametrize("answer", ["", None])
def test_an_unlabelled_row_is_counted_not_guessed(answer):
    assert normalise_all([race_row(answer=answer)], SPEC).dropped == {"no label": 1}


@pytest.mark.parametrize("changes", [{"article": " "}, {"question": None}, {"options": ["a", "b", None, "d"]}])
def test_empty_texts_are_dropped_and_counted(changes):
    assert normalise_all([race_row(**changes)], SPEC).dropped == {"empty text": 1}


def test_a_right_option_that_stands_there_twice_is_dropped_and_counted():
    # One real row has four times the same remains of markup.
    assert normalise_all([race_row(options=["<<>>"] * 4)], SPEC).dropped == {"right option twice": 1}


def test_a_copy_with_its_options_in_another_order_is_the_same_item():
    first = one(options=["by ferry", "on foot", "by car", "on a horse"], answer="B")
    second = one(options=["On a horse", "by car", "by ferry", "On foot."], answer="D")
    assert first.id != second.id
    assert match_digest(first, SPEC) == match_digest(second, SPEC)
    assert gold_text(first, SPEC) == gold_text(second, SPEC) == "on foot"


def test_the_same_question_about_another_article_is_another_item():
    texts = {"question": "What is the best title?", "options": ["Ferries", "Bridges"]}
    assert match_digest(one(article="Pia.", **texts), SPEC) != match_digest(one(article="Mara.", **texts), SPEC)


@pytest.mark.parametrize("between", [" ", "\n", "\n\n"])
def test_a_copy_in_mmlus_training_rows_is_found(between):
    # They carry the article inside the question.
    row, mmlu = race_row(), dataset("mmlu")
    copy = mmlu_train_row(question=f"{row['article']}{between}{row['question']}", choices=row["options"], answer=1)
    (example,) = normalise_all([copy], mmlu).examples
    assert match_digest(example, mmlu) == match_digest(one(), SPEC)
    assert gold_text(example, mmlu) == gold_text(one(), SPEC) == "on foot"


@pytest.mark.parametrize(
    ("kind", "split", "count", "equal", "cut"), [("train", "train", 2000, 0, 84), ("eval", "test", 500, 1, 18)]
)
def test_real_rows(real_data, kind, split, count, equal, cut):
    rows, outcome = stored(real_data, f"race/{split}").to_pylist(), loaded(real_data, "race", kind)
    kept = [row for row in rows if row["options"].count(row["options"]["ABCD".index(row["answer"])]) == 1]
    assert outcome.read == len(rows) == count
    assert outcome.dropped == ({"right option twice": equal} if equal else {})
    assert len(outcome.examples) == len(kept) == count - equal
    for example, row in zip(outcome.examples, kept, strict=True):
        # The golds' texts, found without our code.
        gold = row["options"]["ABCD".index(row["answer"])]
        assert example.input.rsplit(f"\n{example.output}. ", 1)[1].split("\n")[0] == " ".join(gold.split())
        assert gold_text(example, SPEC) == canonical(gold)
        assert example.input[slice(*example.long)] == row["article"].strip()
    articles = Counter(row["article"] for row in kept)
    assert sorted(Counter(example.cluster for example in outcome.examples).values()) == sorted(articles.values())
    assert sum(cut_words(example, SPEC.max_input_words) is not example for example in outcome.examples) == cut


def test_real_rows_hold_the_odd_ones(real_data):
    # What the tests above rest on: both levels, sentences to complete, several questions about one article, and articles
    # with lines that look like options.
    rows = stored(real_data, "race/test").to_pylist()
    assert Counter(row["example_id"].startswith("high") for row in rows) == {True: 355, False: 145}
    assert sum("_" in row["question"] for row in rows) == 264
    assert len({row["article"] for row in rows}) == 375
    assert sum(any(f"\n{letter}. " in row["article"] for letter in "ABCD") for row in rows) == 3
