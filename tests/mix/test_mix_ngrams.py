"""Hashes of words and runs against the plainest way to say what they are."""

import random

import numpy as np
import pytest

from cme.mix import ngrams

WORDS = ["a", "b", "ab", "ba", "straße", "naïve", "\x00", "\x00\x00", "日本", "x" * 40]


def texts(seed, count=200):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randrange(0, 40))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_equal_words_and_only_these_have_equal_hashes(seed):
    found = texts(seed)
    hashes, owners = ngrams.words(found)
    plain = [(word, number) for number, text in enumerate(found) for word in text.split(" ") if word]
    assert owners.tolist() == [number for _, number in plain]
    by_word = {}
    for (word, _), value in zip(plain, hashes.tolist(), strict=True):
        assert by_word.setdefault(word, value) == value
    assert len(set(by_word.values())) == len(by_word)


@pytest.mark.parametrize("length", [1, 2, 13])
def test_equal_runs_and_only_these_have_equal_hashes(length):
    found = texts(7)
    values, owners = ngrams.runs(*ngrams.words(found), length)
    plain = []
    for number, text in enumerate(found):
        split = text.split(" ") if text else []
        plain += [(tuple(split[at : at + length]), number) for at in range(len(split) - length + 1)]
    assert owners.tolist() == [number for _, number in plain]
    by_run = {}
    for (run, _), value in zip(plain, values.tolist(), strict=True):
        assert by_run.setdefault(run, value) == value
    assert len(set(by_run.values())) == len(by_run)


def test_where_a_text_stands_does_not_matter(monkeypatch):
    found = texts(1)
    whole, _ = ngrams.words(found)
    alone = np.concatenate([ngrams.words([text])[0] for text in found])
    monkeypatch.setattr(ngrams, "_MOST_BYTES", 50)
    chunked, owners = ngrams.words(found)
    assert whole.tolist() == alone.tolist() == chunked.tolist()
    assert owners.max() == len(found) - 1


def test_distinct_words_of_each_text():
    hashes, owners = ngrams.words(["b a b", "", "a a"])
    one, own = ngrams.distinct_words(hashes, owners)
    assert own.tolist() == [0, 0, 2]
    assert len(set(one.tolist())) == 2


def test_nothing_is_nothing():
    for found in ([], [""], ["", ""]):
        hashes, owners = ngrams.words(found)
        assert len(hashes) == len(owners) == 0
        assert len(ngrams.runs(hashes, owners, 13)[0]) == 0
