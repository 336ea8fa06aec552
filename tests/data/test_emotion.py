from collections import Counter, defaultdict

import pyarrow.compute as pc
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.match import gold_text, match_digest
from cme.data.sources import open_source
from cme.errors import DataError
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows import HAND_ROWS
from tests.hub_rows.emotion import emotion_row

SPEC = dataset("emotion")
WORDS = ("sadness", "joy", "love", "anger", "fear", "surprise")


def one(**changes):
    (example,) = normalise_all([emotion_row(**changes)], SPEC).examples
    return example


def test_a_text_becomes_an_example():
    example = one(text="im feeling rather odd about the href ferry ", label=5)
    assert example.input == "Text: im feeling rather odd about the href ferry"
    assert (example.choices, example.gold, example.output) == (WORDS, 5, "surprise")
    assert example.match == ("im feeling rather odd about the href ferry",)
    assert example.input[slice(*example.long)] == example.match[0]


@pytest.mark.parametrize(("label", "word"), list(enumerate(WORDS)))
def test_labels_keep_the_hubs_order(label, word):
    assert (one(label=label).output, one(label=label).gold) == (word, label)


def test_two_rows_of_one_text_with_two_labels_are_one_item_with_two_answers():
    # Neither is right alone; the mix drops both, which it can only if it sees both.
    rows = [emotion_row(7, label=4), emotion_row(7, label=1)]
    first, second = normalise_all(rows, SPEC).examples
    assert match_digest(first, SPEC) == match_digest(second, SPEC)
    assert (gold_text(first, SPEC), gold_text(second, SPEC)) == ("fear", "joy")
    assert first.id != second.id


def test_only_the_configuration_split_is_used():
    assert [subset.config for subset in SPEC.subsets] == ["split"]


def test_validation_is_never_read(make_mirror):
    mirror = make_mirror({name: rows for name, rows in HAND_ROWS.items() if name.startswith("emotion/")})
    (mirror / "emotion" / "validation.parquet").write_bytes(b"no Parquet at all")
    source = open_source(str(mirror))
    assert [len(load_examples(SPEC, kind, source).examples) for kind in ("train", "eval")] == [10, 10]


def test_unlabelled_rows_are_counted_not_guessed():
    outcome = normalise_all([emotion_row(label=-1), emotion_row(label=None), emotion_row(3)], SPEC)
    assert len(outcome.examples) == 1 and outcome.dropped == {"no label": 2}


def test_a_seventh_label_is_an_error():
    with pytest.raises(DataError, match=r"'label' holds 6 at row 0; expected 0 .sadness. or .* or 5 .surprise."):
        normalise_all([emotion_row(label=6)], SPEC)


@pytest.mark.parametrize("text", ["", " ", None])
def test_empty_texts_are_dropped_and_counted(text):
    assert normalise_all([emotion_row(text=text)], SPEC).dropped == {"empty text": 1}


@pytest.mark.parametrize(
    ("kind", "split", "labels"),
    [("train", "train", (598, 665, 165, 247, 244, 81)), ("eval", "test", (140, 174, 45, 75, 48, 18))],
)
def test_real_rows(real_data, kind, split, labels):
    table, outcome = stored(real_data, f"emotion/{split}"), loaded(real_data, "emotion", kind)
    assert outcome.read == len(outcome.examples) == table.num_rows == sum(labels) and not outcome.dropped
    assert [example.gold for example in outcome.examples] == table["label"].to_pylist()
    assert Counter(example.output for example in outcome.examples) == dict(zip(WORDS, labels, strict=True))
    assert [example.input for example in outcome.examples] == [f"Text: {text}" for text in table["text"].to_pylist()]


def test_a_real_text_has_two_labels(real_data):
    table, outcome = stored(real_data, "emotion/train"), loaded(real_data, "emotion", "train")
    assert pc.count_distinct(table["text"]).as_py() == table.num_rows - 1
    answers = defaultdict(list)
    for example in outcome.examples:
        answers[match_digest(example, SPEC)].append(gold_text(example, SPEC))
    (conflict,) = [found for found in answers.values() if len(found) > 1]
    assert len(set(conflict)) == 2
