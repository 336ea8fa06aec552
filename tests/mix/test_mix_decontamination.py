"""Planted leaks of every rule are found, near-misses stay, and random texts are judged as brute force judges them."""

import random
from collections import Counter

import numpy as np
import pytest

from cme.mix import build, check_only, decontamination
from cme.mix.decontamination import EvalTexts, LeakDetector, Texts
from cme.mix.rows import load_mix

LINE = "The ferry of Ostby left the harbour at dawn with nine passengers and two goats on board and came back late at night"
OTHER = "A baker in the old town sells bread that rose for two days beside the oven which his grandmother built of river stone"


def nli(premise, hypothesis="It is so.", label=0):
    return {"premise": premise, "hypothesis": hypothesis, "label": label}


def pair(first, second, label=0):
    return {"sentence1": first, "sentence2": second, "label": label}


def question(text, answer="Lind"):
    return {"question": text, "answer": [answer]}


def lettered(stem, *options, key="A"):
    return {
        "question": stem,
        "choices": {"text": list(options), "label": list("ABCDE"[: len(options)])},
        "answerKey": key,
    }


def filler(make, count=30):
    return [make(k) for k in range(count)]


def overlap(rows, names, fake_source, settings):
    found = check_only(
        settings(datasets=names, validation_share=0, allow_missing=True), source=fake_source(rows)
    ).overlap
    return {(train, other): rules for train, others in found.items() for other, rules in others.items() if rules}


def test_a_premise_of_another_datasets_evaluation_is_a_leak(fake_source, settings):
    rows = {
        "anli/train_r1": [
            nli(LINE.upper(), "Goats swim."),
            nli(OTHER),
            *filler(lambda k: nli(f"Premise {k} of nothing.")),
        ],
        "anli/test_r1": [nli("Another.")],
        "rte/validation": [pair(LINE + ".", "A ferry left.")],
    }
    assert overlap(rows, ("anli",), fake_source, settings) == {("anli", "rte"): {"passage": 1, "13-gram": 1}}


def test_a_premise_shared_with_its_own_evaluation_split_is_counted_and_kept(fake_source, settings):
    rows = {
        "anli/train_r1": [nli(LINE, "Goats swim."), *filler(lambda k: nli(f"Premise {k} of nothing."))],
        "anli/test_r1": [nli(LINE, "Goats fly.")],
    }
    found = overlap(rows, ("anli",), fake_source, settings)
    assert found == {("anli", "anli"): {"passage (kept)": 1, "13-gram (kept)": 1}}
    made = settings(datasets=("anli",), allow_missing=True)
    assert build(made, source=fake_source(rows)).datasets["anli"].leaks == {}


def test_the_very_pair_goes_even_so(fake_source, settings):
    rows = {
        "anli/train_r1": [nli(LINE, "Goats fly."), *filler(lambda k: nli(f"Premise {k} of nothing."))],
        "anli/test_r1": [nli(LINE, "Goats fly!")],
    }
    assert overlap(rows, ("anli",), fake_source, settings) == {("anli", "anli"): {"exact": 1}}


def test_a_short_premise_is_no_passage(fake_source, settings):
    rows = {
        "anli/train_r1": [
            nli("Yes, that is what he said.", "He spoke."),
            *filler(lambda k: nli(f"Premise {k} of nothing.")),
        ],
        "anli/test_r1": [nli("Another.")],
        "rte/validation": [pair("Yes, that is what he said", "A ferry left.")],
    }
    assert overlap(rows, ("anli",), fake_source, settings) == {}


def test_a_race_copy_in_mmlus_training_rows_gives_way_to_race(fake_source, settings):
    options = ["by ferry", "on foot", "by car", "on a horse"]
    race = {
        "example_id": "high1.txt",
        "article": LINE,
        "question": "How did it leave?",
        "options": options,
        "answer": "A",
    }
    copy = {"question": f"{LINE} How did it leave?", "subject": "", "choices": options[::-1], "answer": 3}
    other = [
        {"question": f"What is {k}?", "subject": "", "choices": [str(k), "x", "y", "z"], "answer": 0} for k in range(30)
    ]
    rows = {
        "race/train": [race, *({**race, "article": f"{OTHER} {k}", "question": f"Who {k}?"} for k in range(30))],
        "race/test": [{**race, "article": "Nothing.", "question": "What?"}],
        "mmlu/auxiliary_train": [copy, *other],
        "mmlu/test": [{"question": "Why?", "subject": "law", "choices": ["a", "b", "c", "d"], "answer": 0}],
    }
    manifest = build(settings(datasets=("race", "mmlu")), source=fake_source(rows))
    assert (manifest.datasets["race"].duplicates, manifest.datasets["mmlu"].duplicates) == (0, 1)


def test_most_of_an_article_is_a_leak_half_of_half_is_not(fake_source, settings):
    words = [f"w{k}" for k in range(200)]
    article = " ".join(words)
    near = " ".join(words[:150] + [f"v{k}" for k in range(50)])  # 138 of 188 runs
    far = " ".join(words[:100] + [f"u{k}" for k in range(100)])  # 88 of 188 runs, below a half
    rows = {
        "cnn_dailymail/train": [
            {"article": text, "highlights": "So it is."}
            for text in (near, far, *(f"Only this and number {k}." for k in range(30)))
        ],
        "cnn_dailymail/test": [{"article": article, "highlights": "So."}],
    }
    found = overlap(rows, ("cnn_dailymail",), fake_source, settings)
    assert found == {("cnn_dailymail", "cnn_dailymail"): {"13-gram": 1}}


def test_a_short_evaluation_text_inside_a_long_one_is_a_leak(fake_source, settings):
    rows = {
        "cnn_dailymail/train": [
            {"article": f"{OTHER} {LINE} {OTHER[::-1]}", "highlights": "So it is."},
            *({"article": f"Only this and number {k}.", "highlights": "So."} for k in range(30)),
        ],
        "qnli/validation": [{"question": "When did it leave?", "sentence": LINE, "label": 0}],
    }
    assert overlap(rows, ("cnn_dailymail",), fake_source, settings)["cnn_dailymail", "qnli"] == {"13-gram": 1}


def test_reworded_questions(fake_source, settings):
    words = "who wrote the first book about the old bridges of ostby and lind"  # 12 different words
    near = [
        "about the bridges of old ostby and lind who wrote the first book",  # the same words in another order
        "who wrote the very first book about the old bridges of ostby and lind",  # one more: 12 of 13
        "who wrote the first book about the bridges of ostby and lind",  # one less: 11 of 12
    ]
    far = ["who wrote the first book about the new bridges of ostby and lind"]  # another word: 11 of 13
    rows = {
        "nq_open/train": [
            question(text) for text in (*near, *far, *(f"what is number {k} of them" for k in range(30)))
        ],
        "nq_open/validation": [question(words)],
        "trivia_qa/validation": [{"question": words.title() + "?", "answer": {"value": "x", "aliases": ["x"]}}],
    }
    found = overlap(rows, ("nq_open",), fake_source, settings)
    assert found == {("nq_open", "nq_open"): {"token-set": 3}, ("nq_open", "trivia_qa"): {"token-set": 3}}
    manifest = build(settings(datasets=("nq_open",), validation_share=0), source=fake_source(rows))
    assert manifest.datasets["nq_open"].leaks == {"nq_open": 3}, "each row counts once"


def test_generic_stems_with_other_options_stay(fake_source, settings):
    stem = "Which of these is a chemical change?"
    rows = {
        "arc_easy/train": [
            lettered(stem, "iron rusts", "ice melts", "wood is cut"),
            *(lettered(f"Which is number {k}?", "a", "b", str(k)) for k in range(30)),
        ],
        "arc_easy/test": [lettered(stem, "milk sours", "water boils", "glass breaks")],
    }
    assert overlap(rows, ("arc",), fake_source, settings) == {}


def test_without_the_gate_only_whole_texts_count(fake_source, settings):
    rows = {
        "anli/train_r1": [nli(LINE, "Goats."), nli("The very pair.", "Yes."), *filler(lambda k: nli(f"Premise {k}."))],
        "anli/test_r1": [nli("The very pair", "Yes")],
        "rte/validation": [pair(LINE, "A ferry left.")],
    }
    made = settings(datasets=("anli",), allow_missing=True, decontamination=False)
    manifest = build(made, source=fake_source(rows))
    assert manifest.datasets["anli"].leaks == {"anli": 1}
    assert not manifest.gate and "Only whole texts were compared" in (made.out / "README.md").read_text()


def test_what_is_removed_is_not_in_the_mix(fake_source, settings):
    rows = {
        "anli/train_r1": [nli(LINE, "Goats."), *filler(lambda k: nli(f"Premise {k}."))],
        "anli/test_r1": [nli("Another.")],
        "rte/validation": [pair(LINE, "A ferry left.")],
    }
    made = settings(datasets=("anli",), allow_missing=True, validation_share=0)
    assert build(made, source=fake_source(rows)).rows == 30
    assert not any(LINE in text for text in load_mix(made.out, "train")["input"].to_pylist())


def brute_runs(train, items):
    """13-word runs of a training text against those of each item, with sets."""

    def runs(text):
        words = text.split()
        return {tuple(words[at : at + decontamination.RUN]) for at in range(len(words) - decontamination.RUN + 1)}

    of_items = [runs(text) for text in items]
    often = Counter(run for found in of_items for run in found)
    found = []
    for text in train:
        mine = runs(text)
        shared = [sum(often[run] <= decontamination.MOST_ITEMS for run in mine & theirs) for theirs in of_items]
        found.append(
            any(
                n and n >= decontamination.SHARE * min(len(mine), len(o)) for n, o in zip(shared, of_items, strict=True)
            )
        )
    return found


def brute_tokens(train, items):
    def fits(words):
        return decontamination.LEAST_TOKENS <= len(words) <= decontamination.MOST_TOKENS

    sets = [set(text.split()) for text in items if fits(set(text.split()))]
    return [
        fits(mine := set(text.split())) and any(10 * len(mine & other) >= 9 * len(mine | other) for other in sets)
        for text in train
    ]


def texts(found, *, questions):
    return Texts(found, np.zeros(len(found), dtype=np.uint64), questions)


@pytest.mark.parametrize("seed", range(6))
def test_random_texts_are_judged_as_brute_force_judges_them(seed, tmp_path):
    rng = random.Random(seed)
    source = [f"w{rng.randrange(60)}" for _ in range(4000)]

    def draw(count):
        drawn = []
        for _ in range(count):
            start, length = rng.randrange(3900), rng.randrange(0, 60)
            words = source[start : start + length]
            for _ in range(rng.randrange(3)):
                if words:
                    words[rng.randrange(len(words))] = f"n{rng.randrange(9)}"
            drawn.append(" ".join(words))
        return drawn

    items, train = draw(150), draw(400)
    LeakDetector.build(tmp_path / "gate", {"imdb": EvalTexts.of(texts(items, questions=False))})
    found = LeakDetector(tmp_path / "gate").find(texts(train, questions=False))["13-gram"] > 0
    assert found.tolist() == brute_runs(train, items)
    assert 10 < found.sum() < 390


@pytest.mark.parametrize("seed", range(6))
def test_random_questions_are_judged_as_brute_force_judges_them(seed, tmp_path):
    rng = random.Random(seed)
    bases = [[f"w{rng.randrange(40)}" for _ in range(rng.randrange(3, 22))] for _ in range(40)]

    def draw(count):
        drawn = []
        for _ in range(count):
            words = list(rng.choice(bases))
            for _ in range(rng.randrange(3)):
                at = rng.randrange(len(words) + 1)
                words[at : at + rng.randrange(2)] = [f"w{rng.randrange(40)}"] * rng.randrange(2)
            rng.shuffle(words)
            drawn.append(" ".join(words))
        return drawn

    items, train = draw(30), draw(600)
    LeakDetector.build(tmp_path / "gate", {"nq_open": EvalTexts.of(texts(items, questions=True))})
    found = LeakDetector(tmp_path / "gate").find(texts(train, questions=True))["token-set"] > 0
    assert found.tolist() == brute_tokens(train, items)
    exact = {frozenset(text.split()) for text in items}
    near = [hit for hit, text in zip(found, train, strict=True) if frozenset(text.split()) not in exact]
    assert sum(near) > 10 and 20 < found.sum() < 580


def test_boilerplate_runs_do_not_count(tmp_path):
    line = " ".join(f"subscribe{k}" for k in range(decontamination.RUN))
    items = [f"{line} own{number} text{number}" for number in range(decontamination.MOST_ITEMS + 1)]
    for count, found in ((decontamination.MOST_ITEMS, True), (decontamination.MOST_ITEMS + 1, False)):
        folder = tmp_path / str(count)
        LeakDetector.build(folder, {"cnn_dailymail": EvalTexts.of(texts(items[:count], questions=False))})
        hits = LeakDetector(folder).find(texts([line], questions=False))["13-gram"]
        assert bool(hits[0]) == found == brute_runs([line], items[:count])[0]


def test_every_dataset_has_its_bit(tmp_path):
    parts = {f"d{k}": EvalTexts.of(texts([f"{LINE} {OTHER}" if k % 2 else OTHER], questions=True)) for k in range(23)}
    LeakDetector.build(tmp_path / "gate", parts)
    found = LeakDetector(tmp_path / "gate").find(texts([LINE, OTHER, "neither"], questions=True))["13-gram"]
    odd = sum(1 << k for k in range(1, 23, 2))
    assert found.tolist() == [odd, (1 << 23) - 1, 0]
