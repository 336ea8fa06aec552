from dataclasses import replace

import pytest

from cme.data.load import normalise_all
from cme.data.match import canonical, gold_text, match_digest
from cme.suite import dataset


def digest(name, row):
    spec = dataset(name)
    return match_digest(normalise_all([row], spec).examples[0], spec)


def pair(first, second):
    return digest("qqp", {"question1": first, "question2": second, "label": 0})


def question(stem, options, key):
    row = {"question": stem, "choices": {"text": options, "label": list("ABCDE")[: len(options)]}, "answerKey": key}
    spec = dataset("arc")
    return normalise_all([row], spec).examples[0], spec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  It's\n\tFINE ,  really! ", "its fine really"),
        ("“It’s” – fine… «really»", "its fine really"),
        ("東京は、どこ？", "東京はどこ"),
        ("Straße", "strasse"),
        ("Cafe\u0301", "caf\u00e9"),
        ("zero\u200bwidth", "zerowidth"),
        ("a -- b\x0bc\x0c\x1cd\x1d \x1e\x1f  e\r\n-", "a b c d e"),
        ("no\xa0break\u2003space — – dash\x85\x1c", "no break space dash"),
        ("\x00 null\x7f", "\x00 null\x7f"),
        ("3 + 4 < 8", "3 + 4 < 8"),
        (" ?! \n ...", "?! ..."),
        ("", ""),
    ],
)
def test_spelling_differences_go_and_letters_of_every_script_stay(text, expected):
    assert canonical(text) == expected


def test_texts_of_nothing_but_punctuation_stay_apart():
    assert canonical("?!") != canonical("...")
    assert pair("?!", "a") != pair("...", "a")


def test_texts_of_another_script_stay_apart():
    assert canonical("Где озеро?") != canonical("Где река?")


def test_a_pair_is_unordered_however_it_is_spelled():
    # Sorted as spelled, "Banana" comes before "apple", but "banana" after it.
    assert pair("apple pie?", "Banana bread?") == pair("banana bread", "Apple pie")


def test_premise_and_hypothesis_are_ordered():
    first = {"premise": "A cat sleeps.", "hypothesis": "An animal sleeps.", "label": 0}
    second = {"premise": "An animal sleeps.", "hypothesis": "A cat sleeps.", "label": 0}
    assert digest("anli", first) != digest("anli", second)


def test_texts_do_not_flow_into_each_other():
    assert pair("a b", "c") != pair("a", "b c")


def test_options_in_another_order_are_the_same_question_with_the_same_answer():
    one, spec = question("Which is a planet?", ["the Moon", "Mars.", "Orion"], "B")
    other, _ = question("which is a PLANET", ["Orion", "mars", "The Moon"], "B")
    assert match_digest(one, spec) == match_digest(other, spec)
    assert gold_text(one, spec) == gold_text(other, spec) == "mars"


def test_another_right_option_is_another_answer():
    one, spec = question("Which is larger?", ["Mars", "Venus"], "A")
    other, _ = question("Which is larger?", ["Venus", "Mars"], "A")
    assert match_digest(one, spec) == match_digest(other, spec)
    assert gold_text(one, spec) != gold_text(other, spec)


def test_the_long_text_counts_whole_even_where_the_prompt_is_cut():
    article = " ".join(["word"] * 1000)
    one, other = ({"article": f"{article} {end}", "highlights": "h"} for end in ("here", "there"))
    assert digest("cnn_dailymail", one) != digest("cnn_dailymail", other)


def test_an_example_without_options_in_its_match_is_compared_in_order():
    example, spec = question("Which is larger?", ["Mars", "Venus"], "A")
    assert match_digest(replace(example, match=("b", "a")), spec) != match_digest(
        replace(example, match=("a", "b")), spec
    )
