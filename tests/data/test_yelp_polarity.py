import json
from collections import Counter

import pyarrow as pa
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.sources import open_source
from cme.errors import DataError
from cme.prompt import cut_words
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows.sentiment import yelp_row

SPEC = dataset("yelp_polarity")
LABEL_NAMES = {"info": {"features": {"label": {"names": ["1", "2"], "_type": "ClassLabel"}}}}


def one(**changes):
    (example,) = normalise_all([yelp_row(**changes)], SPEC).examples
    return example


def test_a_review_becomes_an_example():
    example = one(text="Cold soup.", label=0)
    assert example.input == "Review: Cold soup."
    assert (example.choices, example.gold, example.output) == (("negative", "positive"), 0, "negative")
    assert example.match == ("Cold soup.",)


def test_labels_are_taken_by_number_not_by_their_names(make_mirror):
    # The hub calls label 0 "1" and label 1 "2": read by name, "1" would be positive.
    rows = pa.Table.from_pylist([yelp_row(k, label=k) for k in (0, 1)])
    rows = rows.replace_schema_metadata({"huggingface": json.dumps(LABEL_NAMES)})
    outcome = load_examples(SPEC, "eval", open_source(str(make_mirror({"yelp_polarity/test": rows}))))
    assert [example.output for example in outcome.examples] == ["negative", "positive"]


def test_a_file_with_the_names_as_labels_is_an_error(make_mirror):
    with pytest.raises(DataError, match=r"'label' holds 2 at row 0; expected 0 .negative. or 1 .positive."):
        normalise_all([yelp_row(label=2)], SPEC)
    mirror = make_mirror({"yelp_polarity/test": [yelp_row(label="1")]})
    with pytest.raises(DataError, match="column 'label' is string, expected int64"):
        load_examples(SPEC, "eval", open_source(str(mirror)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"One.\n\nTwo.", "One.\n\nTwo."),
        (r"One. \nTwo.\r\nThree.\n", "One.\nTwo.\nThree."),
        (r'a \""nice\"" spot', 'a "nice" spot'),
        (r"a \"nice\" spot", 'a "nice" spot'),
        ('a ""nice"" spot', 'a "nice" spot'),
        (r'4\"" wide', '4" wide'),
        (r"black\\white", r"black\white"),
        # A backslash before an n that is a word's: not a line break.
        (r"this\\not that", r"this\not that"),
        (r"caf\u00e9 \u00FCber", "café über"),
        (r"\ud83d\ude00\u00e9", "😀é"),
        (r"half \ud83d of it", "half \ufffd of it"),
        (r"c:\dir ¯\_", r"c:\dir ¯\_"),
        ("B&B <3 <br />", "B&B <3 <br />"),
    ],
)
def test_the_escapes_of_the_csv_are_undone(text, shown):
    example = one(text=text)
    assert example.input == f"Review: {shown}"
    assert example.input[slice(*example.long)] == shown


def test_unlabelled_rows_are_counted_not_guessed():
    assert normalise_all([yelp_row(label=-1), yelp_row(label=None)], SPEC).dropped == {"no label": 2}


@pytest.mark.parametrize("text", ["", " ", None, r"\n\n"])
def test_empty_reviews_are_dropped_and_counted(text):
    assert normalise_all([yelp_row(text=text)], SPEC).dropped == {"empty text": 1}


def test_a_long_review_is_cut_from_its_end():
    text = r"\n".join(f"word{k}" for k in range(1, 1001))
    shorter = cut_words(one(text=text), SPEC.max_input_words)
    assert shorter.input == "Review: " + "\n".join(f"word{k}" for k in range(1, SPEC.max_input_words + 1))


@pytest.mark.parametrize(("kind", "split", "labels"), [("train", "train", (208, 152)), ("eval", "test", (12, 8))])
def test_real_rows(real_data, kind, split, labels):
    rows, outcome = stored(real_data, f"yelp_polarity/{split}").to_pylist(), loaded(real_data, "yelp_polarity", kind)
    assert outcome.read == len(outcome.examples) == len(rows) == sum(labels) and not outcome.dropped
    assert [example.gold for example in outcome.examples] == [row["label"] for row in rows]
    assert Counter(example.output for example in outcome.examples) == dict(
        zip(("negative", "positive"), labels, strict=True)
    )
    for example, row in zip(outcome.examples, rows, strict=True):
        # With its quotes undoubled, every real text is the inside of a JSON string.
        text = json.loads('"' + row["text"].replace('""', '"') + '"')
        assert example.input.removeprefix("Review: ").split("\n") == [line.strip() for line in text.split("\n")]


def test_real_rows_hold_the_odd_ones(real_data):
    # What the tests above rest on: every kind of escape is in the real rows.
    texts = stored(real_data, "yelp_polarity/train")["text"].to_pylist()
    found = {escape: sum(escape in text for text in texts) for escape in (r"\n", r'\""', r"\u00", r"\\")}
    assert found == {r"\n": 91, r'\""': 73, r"\u00": 6, r"\\": 1}
