"""Repairs of texts that were damaged before they were published, and of answers with end tokens."""

import pytest

from cme.data.load import normalise_all
from cme.suite import dataset, repairs


@pytest.mark.parametrize(
    ("raw", "repaired"),
    [
        ("Early<br>Tina woke.", "Early\nTina woke."),
        ("One . <br> Two .<br />Three", "One .\nTwo .\nThree"),
        ("<br>First<br>", "First"),
        ("a <b>bold</b> word", "a <b>bold</b> word"),
    ],
)
def test_line_breaks(raw, repaired):
    assert repairs.restore_line_breaks(raw) == repaired


@pytest.mark.parametrize(
    ("raw", "repaired"),
    [
        ('"What does ""otoke"" mean?"', 'What does "otoke" mean?'),
        ('"""All is well."" Who wrote it?"', '"All is well." Who wrote it?'),
        ('"Who wrote ""All is well""?"', 'Who wrote "All is well"?'),
        ('"Plain words in quotes"', '"Plain words in quotes"'),
        ('"A" or "B"', '"A" or "B"'),
        ('Is "" an empty text?', 'Is "" an empty text?'),
        ('"', '"'),
        ('""', '""'),
    ],
)
def test_quotes(raw, repaired):
    assert repairs.restore_quotes(raw) == repaired


@pytest.mark.parametrize(
    ("raw", "repaired"),
    [
        ("good\x85 or bad\x97never \x91so\x92", "good… or bad—never ‘so’"),
        ("a\x81b\x9dc", "abc"),
        ("é and \xa0", "é and \xa0"),
        (None, None),
    ],
)
def test_controls(raw, repaired):
    assert repairs.restore_controls(raw) == repaired


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris</s> and so on", "Paris"),
        ("Paris<|im_end|>\n</s>", "Paris"),
        ("</s>", ""),
        ("Paris", "Paris"),
    ],
)
def test_a_text_ends_at_its_first_end_token(text, expected):
    assert repairs.cut_after_end(text, ["</s>", "<|im_end|>", " ", ""]) == expected


def without_repairs(monkeypatch):
    """Let the normalisers keep the texts as they were published."""
    monkeypatch.setattr("cme.data.normalise.inference.restore_line_breaks", lambda text: text)
    monkeypatch.setattr("cme.data.normalise.paraphrase.restore_quotes", lambda text: text)
    monkeypatch.setattr("cme.data.normalise.labelled.restore_controls", lambda value: value)


ROWS = {
    "anli": (
        {"uid": "a", "premise": "Early<br>Tina woke.", "hypothesis": "She<br>woke.", "label": 0, "reason": ""},
        "Premise: Early\nTina woke.\nHypothesis: She\nwoke.",
    ),
    "qqp": (
        {"question1": '"Who is ""X""?"', "question2": "Who?", "label": 0, "idx": 1},
        'Question 1: Who is "X"?\nQuestion 2: Who?',
    ),
    "imdb": ({"text": "So bad\x85", "label": 0}, "Review: So bad…"),
    # The same marks elsewhere are somebody's own.
    "mnli": (
        {"premise": "a<br>b", "hypothesis": "c", "label": 0, "idx": 1},
        "Premise: a<br>b\nHypothesis: c",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_prompts_change_and_ids_do_not(name, monkeypatch):
    row, expected = ROWS[name]
    (repaired,) = normalise_all([row], dataset(name)).examples
    without_repairs(monkeypatch)
    (raw,) = normalise_all([row], dataset(name)).examples
    assert repaired.input == expected
    assert (raw.input == expected) is (name == "mnli")
    assert (repaired.id, repaired.cluster) == (raw.id, raw.cluster)


@pytest.mark.parametrize("answers", ["engine", "plain"])
def test_what_follows_an_end_token_that_is_not_special(answers):
    """A base whose generation_config.json names a second end token, which its tokenizer writes out."""
    from tests.evaluation.engine import lab
    from tests.evaluation.engine.test_choice import rows

    model, request = lab.tiny_model(), lab.texts(rows(count=3))[:1]
    (longest,) = lab.plain(model).generate_until(request)
    tokens = lab.tiny_tokenizer().encode(longest, add_special_tokens=False)
    end = lab.tiny_tokenizer().decode(tokens[2:3])
    model.generation_config.eos_token_id = [1, tokens[2]]
    (text,) = getattr(lab, answers)(model).generate_until(request)
    assert longest.startswith(text) and (end not in text)


def test_how_many_real_rows_change(real_data, monkeypatch):
    from tests.data.real import loaded

    kinds = (("anli", "eval"), ("qqp", "train"), ("imdb", "train"), ("imdb", "eval"))

    def inputs(name, kind):
        return [example.input for example in loaded(real_data, name, kind, allow_missing=True).examples]

    repaired = {pair: inputs(*pair) for pair in kinds}
    without_repairs(monkeypatch)
    changed = {pair: sum(a != b for a, b in zip(texts, inputs(*pair), strict=True)) for pair, texts in repaired.items()}
    assert list(changed.values()) == [161, 69, 73, 17]
