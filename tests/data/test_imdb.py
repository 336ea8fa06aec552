from collections import Counter

import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.sources import open_source
from cme.errors import DataError
from cme.prompt import cut_words
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows import HAND_ROWS
from tests.hub_rows.sentiment import imdb_row

SPEC = dataset("imdb")


def one(**changes):
    (example,) = normalise_all([imdb_row(**changes)], SPEC).examples
    return example


def test_a_review_becomes_an_example():
    example = one(text="Dull & long.", label=0)
    assert example.input == "Review: Dull & long."
    assert (example.choices, example.gold, example.output) == (("negative", "positive"), 0, "negative")
    assert example.match == ("Dull & long.",)
    assert example.cluster == example.id


def test_label_one_is_positive():
    assert (one(label=1).gold, one(label=1).output) == (1, "positive")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One.<br /><br />Two.", "One.\n\nTwo."),
        ("One. <br />Two <br /> three.", "One.\nTwo\nthree."),
        ("<br />One.<br /><br />", "One."),
        ("<<<<br />Two", "<<<\nTwo"),
        ("A <SPOILER> & 1 < 2", "A <SPOILER> & 1 < 2"),
    ],
)
def test_br_is_a_line_break_and_nothing_else_is_touched(text, shown):
    example = one(text=text)
    assert example.input == f"Review: {shown}"
    assert example.input[slice(*example.long)] == shown


def test_rows_of_the_unlabelled_split_are_counted_not_guessed():
    outcome = normalise_all([imdb_row(0, label=-1), imdb_row(1), imdb_row(2, label=None)], SPEC)
    assert [example.gold for example in outcome.examples] == [1]
    assert (outcome.read, outcome.dropped) == (3, {"no label": 2})


def test_the_unlabelled_split_is_never_read(make_mirror):
    mirror = make_mirror({name: rows for name, rows in HAND_ROWS.items() if name.startswith("imdb/")})
    (mirror / "imdb" / "unsupervised.parquet").write_bytes(b"no Parquet at all")
    source = open_source(str(mirror))
    assert [len(load_examples(SPEC, kind, source).examples) for kind in ("train", "eval")] == [10, 10]


def test_a_third_label_is_an_error():
    with pytest.raises(DataError, match=r"'label' holds 2 at row 0; expected 0 .negative. or 1 .positive."):
        normalise_all([imdb_row(label=2)], SPEC)


@pytest.mark.parametrize("text", ["", " \n", None, "<br /><br />"])
def test_empty_reviews_are_dropped_and_counted(text):
    assert normalise_all([imdb_row(text=text)], SPEC).dropped == {"empty text": 1}


def test_a_long_review_is_cut_from_its_end():
    text = "<br />".join(f"word{k}" for k in range(1, 1001))
    shorter = cut_words(one(text=text), SPEC.max_input_words)
    assert shorter.input == "Review: " + "\n".join(f"word{k}" for k in range(1, SPEC.max_input_words + 1))


def as_windows_1252(text):
    """Replace each C1 control character by what its code means in Windows-1252."""
    codes = range(0x80, 0xA0)
    return "".join(bytes([ord(c)]).decode("cp1252", "ignore") if ord(c) in codes else c for c in text)


@pytest.mark.parametrize(("kind", "split", "labels"), [("train", "train", (1008, 992)), ("eval", "test", (258, 242))])
def test_real_rows(real_data, kind, split, labels):
    rows, outcome = stored(real_data, f"imdb/{split}").to_pylist(), loaded(real_data, "imdb", kind)
    assert outcome.read == len(outcome.examples) == len(rows) == sum(labels) and not outcome.dropped
    assert [example.gold for example in outcome.examples] == [row["label"] for row in rows]
    assert Counter(example.output for example in outcome.examples) == dict(
        zip(("negative", "positive"), labels, strict=True)
    )
    for example, row in zip(outcome.examples, rows, strict=True):
        assert example.input.split() == ["Review:", *as_windows_1252(row["text"]).replace("<br />", " ").split()]
