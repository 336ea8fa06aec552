"""Training tokens: the text that evaluation scores, labels on the answer and the end of text, and cutting of long texts."""

from dataclasses import replace

import pytest

from cme.data.example import Dropped
from cme.errors import UsageError
from cme.mix import example_from_row
from cme.models.load import load_tokenizer
from cme.prompt import FORMATS, render
from cme.training.encode import Encoder
from cme.training.tokens import Tokens, encode_split, token_files

from .conftest import pair, question, write_mix


@pytest.fixture
def tokenizer(base):
    loaded = load_tokenizer(base)
    loaded.chat_template = "{% for message in messages %}<end>{{ message.content }}<end>{% endfor %}"
    return loaded


@pytest.mark.parametrize("prompt_format", FORMATS)
def test_the_text_is_the_rendered_prompt_and_answer_to_the_byte(tokenizer, prompt_format):
    encoder = Encoder(tokenizer, prompt_format, 512)
    for row in (question(1), pair(2)):
        rendered = render(example_from_row(row), prompt_format, tokenizer)
        encoded = encoder.row(row)
        assert tokenizer.decode(encoded.ids) == rendered.context + rendered.target + "<end>"
        assert rendered.context.startswith(tokenizer.decode(encoded.ids[: encoded.context]))


def test_labels_are_the_answer_and_the_end_of_text_and_nothing_else(tokenizer):
    from cme.training.collate import Collator

    encoder = Encoder(tokenizer, "plain", 512)
    short, long = (encoder.row(row) for row in (pair(2), question(1)))
    batch = Collator(tokenizer.pad_token_id)([(item.ids, item.context) for item in (short, long)])
    # By hand: everything after "Answer:" is " not duplicate<end>" and " black<end>" (or whichever the rows have).
    for item, labels, ids, mask in zip(
        (short, long), batch["labels"], batch["input_ids"], batch["attention_mask"], strict=True
    ):
        answer = ids[item.context : len(item.ids)]
        assert labels[labels != -100].tolist() == answer.tolist()
        assert int((labels != -100).sum()) == len(item.ids) - item.context
        assert tokenizer.decode(ids[: item.context]).endswith("\n\nAnswer:")
        assert tokenizer.decode(answer).endswith("<end>") and int(mask.sum()) == len(item.ids)
        assert set(ids[len(item.ids) :].tolist()) <= {tokenizer.pad_token_id}
    whole = Collator(tokenizer.pad_token_id, train_on_prompt=True)([(short.ids, short.context)])
    assert whole["labels"].tolist() == [short.ids]


def test_sparse_logits_are_kept_exactly_where_the_next_token_has_a_label(tokenizer):
    from cme.training.collate import Collator

    items = [(item.ids, item.context) for item in map(Encoder(tokenizer, "plain", 512).row, (pair(2), question(1)))]
    batch = Collator(tokenizer.pad_token_id, sparse_logits=True)(items)
    answers = [token for ids, context in items for token in ids[context:]]
    assert batch["shift_labels"].tolist() == answers
    assert batch["logits_to_keep"].nonzero().tolist() == [
        [row, place] for row, (ids, context) in enumerate(items) for place in range(context - 1, len(ids) - 1)
    ]


def test_long_texts_are_cut_and_what_cannot_be_cut_is_dropped_and_counted(tokenizer, base, tmp_path):
    rows = [question(1), pair(2), question(3)]
    full = [len(Encoder(tokenizer, "plain", 512).row(row).ids) for row in rows]
    limit = full[1] - 1
    assert limit < min(full[0], full[2])
    mix = write_mix(tmp_path / "mix", [rows])
    encode_split(mix, "train", tmp_path / "work", base, Encoder(tokenizer, "plain", limit))
    tokens = Tokens(token_files(mix, "train", tmp_path / "work"))
    assert len(tokens) == 2 and tokens.cut == 2 and tokens.dropped == {"longer than max_length": 1}
    for index, row in enumerate((question(1), question(3))):
        text = tokenizer.decode(tokens.ids(index))
        assert limit - 12 < len(tokens.ids(index)) <= limit
        # Only the passage has lost words: instruction, question and answer are there.
        assert text.startswith(row["instruction"] + "\nPassage: The") and row["input"][row["long_end"] :] in text
        assert text.endswith(f"\n\nAnswer: {row['output']}<end>")


def test_several_files_are_encoded_by_several_programs_in_row_order(base, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("cme.training.tokens._FEW", 0)
    rows = [pair(number) for number in range(6)]
    mix = write_mix(tmp_path / "mix", [rows[:4], rows[4:]])
    encoder = Encoder(load_tokenizer(base), "plain", 512)
    encode_split(mix, "train", tmp_path / "work", base, encoder)
    tokens = Tokens(token_files(mix, "train", tmp_path / "work"))
    assert [tokens.ids(index).tolist() for index in range(6)] == [encoder.row(row).ids for row in rows]
    assert tokens.lengths.tolist() == [len(encoder.row(row).ids) for row in rows]


def test_a_tokenizer_without_an_end_is_refused(tokenizer):
    tokenizer.eos_token = None
    with pytest.raises(UsageError, match="no end-of-text token"):
        Encoder(tokenizer, "plain", 512)


def test_a_long_input_that_nothing_may_cut_is_dropped(tokenizer):
    example = replace(example_from_row(question(1)), long=None)
    assert Encoder(tokenizer, "plain", 20).example(example) == Dropped("longer than max_length")
