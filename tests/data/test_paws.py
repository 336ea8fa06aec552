import pyarrow.compute as pc
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.match import match_digest
from cme.data.sources import open_source
from cme.errors import DataError
from cme.suite import dataset
from tests.data.real import loaded, stored
from tests.hub_rows import HAND_ROWS
from tests.hub_rows.paraphrase import paws_row

SPEC = dataset("paws")


def one(**changes):
    (example,) = normalise_all([paws_row(**changes)], SPEC).examples
    return example


def test_a_pair_becomes_an_example():
    example = one(sentence1="Mara saw Jon .", sentence2="Jon saw Mara .", label=0)
    assert example.input == "Sentence 1: Mara saw Jon .\nSentence 2: Jon saw Mara ."
    assert (example.choices, example.gold) == (("not paraphrase", "paraphrase"), 0)
    assert (example.output, example.subset, example.long) == ("not paraphrase", "paws", None)
    assert example.cluster == example.id


def test_label_one_is_paraphrase():
    # The hub names the labels "0" and "1", which say nothing.
    assert (one(label=1).gold, one(label=1).output) == (1, "paraphrase")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("the ship `` Mara '' sank", 'the ship " Mara " sank'),
        ("``Mara''", '"Mara"'),
        # The marks are often the wrong way round, or one is missing.
        ("the ship '' Mara `` sank", 'the ship " Mara " sank'),
        ("the `` Mara sank", 'the " Mara sank'),
        ("on the 2  boats", "on the 2 boats"),
        # Not quotes: the mark of a possessive, a single one, an accent.
        ("Jon 's boat , 5 ' long", "Jon 's boat , 5 ' long"),
        ("a ` sign", "a ` sign"),
    ],
)
def test_doubled_quotes_and_spaces_become_plain(written, shown):
    assert one(sentence1=written).input.startswith(f"Sentence 1: {shown}\n")
    assert one(sentence2=written).input.endswith(f"\nSentence 2: {shown}")


def test_the_ids_come_from_the_text_as_published():
    # Else an id would change with our taste in quotes.
    assert one(sentence1="`` Mara '' sank").id != one(sentence1='" Mara " sank').id


def test_a_pair_is_the_same_item_in_either_order_and_with_either_quotes():
    there = one(sentence1="`` Mara '' sank .", sentence2="It sank .")
    back = one(sentence1="It sank .", sentence2='" Mara "  sank .')
    assert there.match == back.match and there.id != back.id
    assert match_digest(there, SPEC) == match_digest(back, SPEC)


def test_words_in_another_order_are_another_sentence():
    # Most pairs hold the same words: comparing bags of words would make them one.
    same = one(sentence1="From Ostby to Lund .", sentence2="It sails .")
    swapped = one(sentence1="From Lund to Ostby .", sentence2="It sails .")
    assert match_digest(same, SPEC) != match_digest(swapped, SPEC)


def test_unlabelled_rows_are_counted_not_guessed():
    outcome = normalise_all([paws_row(0, label=-1), paws_row(1), paws_row(2, label=None)], SPEC)
    assert [example.gold for example in outcome.examples] == [1]
    assert (outcome.read, outcome.dropped) == (3, {"no label": 2})


def test_a_label_out_of_range_is_an_error():
    with pytest.raises(DataError, match=r"holds 2 at row 0; expected 0 .not paraphrase. or 1 .paraphrase."):
        normalise_all([paws_row(label=2)], SPEC)


@pytest.mark.parametrize("changes", [{"sentence1": ""}, {"sentence2": "  \n"}, {"sentence2": None}])
def test_empty_sentences_are_dropped_and_counted(changes):
    outcome = normalise_all([paws_row(**changes)], SPEC)
    assert outcome.examples == [] and outcome.dropped == {"empty text": 1}


def test_a_missing_id_changes_nothing():
    # The real train rows have none.
    assert one(id=None) == one(id=7)


def test_the_labelled_test_split_is_evaluated_on(make_mirror):
    mirror = make_mirror({name: HAND_ROWS[name] for name in ("paws/train", "paws/test")})
    (mirror / "paws" / "validation.parquet").write_bytes(b"no Parquet at all")
    assert len(load_examples(SPEC, "eval", open_source(str(mirror))).examples) == 10


@pytest.mark.parametrize(
    ("kind", "rows", "positive", "quoted"), [("train", 160, 68, 43), ("test", 500, 238, 81)], ids=["train", "test"]
)
def test_real_rows(real_data, kind, rows, positive, quoted):
    table = stored(real_data, f"paws/{kind}")
    outcome = loaded(real_data, "paws", "train" if kind == "train" else "eval")
    assert outcome.read == table.num_rows == len(outcome.examples) == rows and not outcome.dropped
    assert sum(example.gold for example in outcome.examples) == pc.sum(table["label"]).as_py() == positive
    texts = [text for name in ("sentence1", "sentence2") for text in table[name].to_pylist()]
    shown = [line.split(": ", 1)[1] for k in (0, 1) for line in (e.input.split("\n")[k] for e in outcome.examples)]
    # Every mark of the file is a plain one now, and nothing else changed.
    assert [text.count("``") + text.count("''") for text in texts] == [text.count('"') for text in shown]
    assert [text.replace("``", '"').replace("''", '"') for text in texts] == shown
    assert sum('"' in text for text in shown) == quoted


def test_real_pairs_of_equal_sentences_are_kept(real_data):
    # Two of the test rows pair a sentence with itself; one of them is labelled as no paraphrase. Not ours to mend.
    equal = [example for example in loaded(real_data, "paws", "eval").examples if len(set(example.match)) == 1]
    assert sorted(example.gold for example in equal) == [0, 1]
