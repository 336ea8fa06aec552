from collections import Counter

import pyarrow.compute as pc
import pytest

from cme.data.load import normalise_all
from cme.errors import DataError
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.emotion import emotion_row, tweet_row

SPEC = dataset("tweet_emotion")
WORDS = ("anger", "joy", "optimism", "sadness")


def one(**changes):
    (example,) = normalise_all([tweet_row(**changes)], SPEC).examples
    return example


def test_a_tweet_becomes_an_example():
    example = one(text="Late again... #ostby 🙃", label=0)
    assert example.input == "Tweet: Late again... #ostby 🙃"
    assert (example.choices, example.gold, example.output) == (WORDS, 0, "anger")
    assert example.match == ("Late again... #ostby 🙃",)


@pytest.mark.parametrize(("label", "word"), list(enumerate(WORDS)))
def test_labels_keep_the_hubs_order(label, word):
    assert (one(label=label).output, one(label=label).gold) == (word, label)


def test_the_order_is_not_that_of_emotion():
    # Only joy has one number in both; 0 is sadness there and anger here, 3 the other way round.
    (others,) = zip(
        *(normalise_all([emotion_row(label=k)], dataset("emotion")).examples for k in range(4)), strict=True
    )
    pairs = [(one(label=k).output, other.output) for k, other in enumerate(others)]
    assert pairs == [("anger", "sadness"), ("joy", "joy"), ("optimism", "love"), ("sadness", "anger")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rock &amp; roll", "rock & roll"),
        ("I &lt;3 it &gt;.&lt;", "I <3 it >.<"),
        ("so &amp;lt; it is", "so &lt; it is"),
        # Twitter writes three entities; all else was typed.
        ("AT&T &notme &eacute; me&you", "AT&T &notme &eacute; me&you"),
        (r"The end.\n\n#ostby", "The end.\n\n#ostby"),
        (r"The end. \n #ostby\n", "The end.\n#ostby"),
        ("@user @user hello", "@user @user hello"),
    ],
)
def test_a_tweet_is_shown_as_its_author_saw_it(text, shown):
    example = one(text=text)
    assert example.input == f"Tweet: {shown}"
    assert example.input[slice(*example.long)] == shown


def test_unlabelled_rows_are_counted_not_guessed():
    assert normalise_all([tweet_row(label=-1), tweet_row(label=None)], SPEC).dropped == {"no label": 2}


@pytest.mark.parametrize("label", [4, 5])
def test_labels_of_emotion_that_are_none_here_are_errors(label):
    with pytest.raises(DataError, match=rf"'label' holds {label} at row 0; expected 0 .anger. or .* or 3 .sadness."):
        normalise_all([tweet_row(label=label)], SPEC)


@pytest.mark.parametrize("text", ["", " ", None, r"\n"])
def test_empty_tweets_are_dropped_and_counted(text):
    assert normalise_all([tweet_row(text=text)], SPEC).dropped == {"empty text": 1}


@pytest.mark.parametrize(
    ("kind", "split", "labels"), [("train", "train", (854, 441, 172, 533)), ("eval", "test", (208, 130, 41, 121))]
)
def test_real_rows(real_data, kind, split, labels):
    table, outcome = stored(real_data, f"tweet_emotion/{split}"), loaded(real_data, "tweet_emotion", kind)
    assert outcome.read == len(outcome.examples) == table.num_rows == sum(labels) and not outcome.dropped
    assert [example.gold for example in outcome.examples] == table["label"].to_pylist()
    assert Counter(example.output for example in outcome.examples) == dict(zip(WORDS, labels, strict=True))
    lines = pc.sum(pc.count_substring(table["text"], r"\n")).as_py()
    assert lines == {"train": 190, "test": 67}[split]
    # Breaks at the end of a tweet go.
    ends = sum(text.endswith(r"\n") for text in table["text"].to_pylist())
    assert sum(example.input.count("\n") for example in outcome.examples) == lines - ends
    for entity, character in (("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        stored_count = pc.sum(pc.count_substring(table["text"], entity)).as_py()
        assert stored_count > 0
        assert not any(entity in example.input for example in outcome.examples)
        assert sum(example.input.count(character) for example in outcome.examples) >= stored_count
