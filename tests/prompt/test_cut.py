import dataclasses

import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.sources import open_source
from cme.prompt import count_words, cut_to_tokens, cut_words, prompt_text
from cme.suite import dataset, datasets
from tests.hub_rows.inference import anli_row
from tests.hub_rows.open_qa import nq_row
from tests.hub_rows.paraphrase import qqp_row
from tests.hub_rows.reading import squad_row
from tests.hub_rows.science import arc_row


def squad(context):
    (example,) = normalise_all([squad_row(context=context, question="Who came?")], dataset("squad_v2")).examples
    return example


TEN = squad("one two  three\nfour five six seven eight nine ten.")


def long_text(example):
    return example.input[slice(*example.long)]


def test_the_first_words_stay_with_their_spacing():
    example = cut_words(TEN, 4)
    assert example.input == "Passage: one two  three\nfour\nQuestion: Who came?"
    assert long_text(example) == "one two  three\nfour"
    assert dataclasses.replace(example, input=TEN.input, long=TEN.long) == TEN


@pytest.mark.parametrize("most", [10, 11, 500])
def test_a_short_text_is_the_same_example(most):
    assert cut_words(TEN, most) is TEN


def test_one_word_fewer_than_there_are():
    assert long_text(cut_words(TEN, 9)) == "one two  three\nfour five six seven eight nine"


@pytest.mark.parametrize("most", range(1, 12))
def test_cutting_twice_changes_nothing(most):
    once = cut_words(TEN, most)
    assert cut_words(once, most) == once
    # A cut at a smaller length is the same whether or not another came before.
    assert cut_words(once, 3) == cut_words(TEN, min(most, 3))


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("qqp", qqp_row(question1="word " * 900)),
        ("arc", arc_row(question="word " * 900)),
        ("nq_open", nq_row(question="word " * 900)),
    ],
)
def test_questions_and_options_are_never_cut(name, row):
    (example,) = normalise_all([row], dataset(name)).examples
    assert cut_words(example, 5) is example


@pytest.mark.parametrize(
    ("name", "row", "rest"),
    [
        (
            "squad_v2",
            squad_row(context="word " * 900, question="Question? " * 600),
            "\nQuestion: " + "Question? " * 600,
        ),
        ("anli", anli_row(premise="word " * 900, hypothesis="It " * 600), "\nHypothesis: " + "It " * 600),
    ],
)
def test_what_follows_the_long_text_is_never_cut(name, row, rest):
    (example,) = normalise_all([row], dataset(name)).examples
    shorter = cut_words(example, 5)
    assert long_text(shorter) == "word word word word word"
    assert shorter.input.endswith("word" + rest.rstrip())


def test_words_are_divided_by_any_white_space():
    # A no-break space divides words for str.split too, by which other rooms count.
    text = "a\u00a0b\u2003c d"
    assert long_text(cut_words(squad(text), 2)) == "a\u00a0b"
    assert len(text.split()) == 4


def test_real_rows_are_cut_in_the_long_text_alone(real_data):
    cut = 0
    for name in ("cnn_dailymail", "squad_v2", "anli"):
        spec = datasets()[name]
        for example in load_examples(spec, "eval", open_source(str(real_data))).examples:
            shorter = cut_words(example, spec.max_input_words)
            start, end = example.long
            words = example.input[start:end].split()
            assert long_text(shorter).split() == words[: spec.max_input_words]
            assert shorter.input == example.input[:start] + long_text(shorter) + example.input[end:]
            assert prompt_text(shorter).startswith(example.instruction)
            cut += shorter is not example
    assert cut > 300


def at_most(words):
    return lambda example: len(example.input.split()) <= words


def test_as_many_words_as_fit():
    # "Passage:", "Question:", "Who", "came?" are four; six are left for the passage.
    assert long_text(cut_to_tokens(TEN, at_most(10))) == "one two  three\nfour five six"


@pytest.mark.parametrize("room", range(5, 16))
def test_the_longest_that_fits_for_every_room(room):
    shorter = cut_to_tokens(TEN, at_most(room))
    assert len(shorter.input.split()) == min(room, 14)
    assert cut_to_tokens(shorter, at_most(room)) is shorter


def test_what_fits_is_the_same_example():
    assert cut_to_tokens(TEN, at_most(14)) is TEN


def test_what_cannot_fit_is_nothing():
    assert cut_to_tokens(TEN, at_most(4)) is None
    (example,) = normalise_all([qqp_row()], dataset("qqp")).examples
    assert cut_to_tokens(example, lambda candidate: False) is None


def test_the_search_is_short():
    tried = []

    def fits(example):
        tried.append(example)
        return len(example.input.split()) <= 300

    assert len(long_text(cut_to_tokens(squad("word " * 5000), fits)).split()) == 296
    assert len(tried) < 20


@pytest.mark.parametrize(
    "text",
    ["", " ", "one", " two words ", "a\x1cb\x85c\u2003d\n\ne", "naïve café\u00a0here", "tab\tx\vy\fz\r\n", "x x", "é"],
)
def test_words_are_counted_as_split_divides_them(text):
    assert count_words(text) == len(text.split())
    assert count_words(f"{text} ascii {text}") == len(f"{text} ascii {text}".split())


def test_every_ascii_character_is_a_word_or_white_space_as_for_split():
    for code in range(128):
        text = f"a{chr(code)}b"
        assert count_words(text) == len(text.split()), code
