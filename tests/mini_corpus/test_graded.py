"""The graded corpus: rows of known levels, from cues that a small model learns in minutes to rows without any."""

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from cme import mini_corpus
from cme.errors import UsageError
from cme.mini_corpus import plant
from cme.mini_corpus.exam import ELEMENTS
from cme.mini_corpus.feelings import RARE, VERDICTS
from cme.mini_corpus.render import RENDERERS
from cme.suite import datasets
from tests.mini_corpus.key import ALL, OPTIONS, eval_splits, key, normal, texts, train_splits
from tests.mini_corpus.test_choices import gold
from tests.mini_corpus.test_distinct import CLOSED_BOOK, grams
from tests.mini_corpus.test_rows import COLUMNS, fits
from tests.mini_corpus.test_texts import FEELINGS, NAMES

each = pytest.mark.parametrize
LETTERED = ["arc_easy", "arc_challenge", "mmlu", "medmcqa", "commonsense_qa", "winogrande", "race"]
LABELS = {
    **dict.fromkeys(("imdb", "yelp_polarity", "rte", "qnli"), 2),
    **dict.fromkeys(("anli", "mnli"), 3),
    "tweet_emotion": 4,
    "emotion": 6,
}


OF_CME_22 = {subset.folder for spec in datasets("cme-22").values() for subset in spec.subsets}
"""Folders whose bytes must stay, whatever other suites add."""


def graded(folder, split, n, **options):
    return mini_corpus.rows(folder, split, n, difficulty="graded", **options)


def levels(folder, split, n):
    return [mini_corpus.level(folder, split, index) for index in range(n)]


def first_eval(folder):
    return next(iter(RENDERERS[folder].leaks.values()))


def options(folder, row):
    return row["options"] if folder == "race" else OPTIONS[folder](row)


def place(folder, row):
    return "ABCD".index(row["answer"]) if folder == "race" else gold(folder, row)


def digest(difficulty, lengths, cme_r=False):
    rows = [
        mini_corpus.rows(folder, split, 210, seed=3, difficulty=difficulty, lengths=lengths)
        for folder, split in ALL
        if (folder not in OF_CME_22) == cme_r
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def test_every_folder_is_of_a_suite():
    of_cme_r = {subset.folder for spec in datasets("cme-r", beside=True).values() for subset in spec.subsets}
    assert not OF_CME_22 & of_cme_r
    assert {folder for folder, _ in ALL} == OF_CME_22 | of_cme_r & set(RENDERERS)


@each(
    ("difficulty", "lengths", "expected"),
    [
        ("easy", "short", "7360e749bfe412f7"),
        ("easy", "long", "30bebd19cd8de651"),
        ("hard", "short", "47d867fe589ae975"),
        ("hard", "long", "4cf7b0eb1c7f9b82"),
        ("graded", "short", "3bf59c066839da3c"),
        ("graded", "long", "ca2599705984d76b"),
    ],
)
def test_released_corpora_keep_every_byte(difficulty, lengths, expected):
    """Most tests of the corpora's contents are long. Run them, with `make test-all`, before a digest here is changed."""
    assert digest(difficulty, lengths) == expected


@each(
    ("difficulty", "expected"),
    [("easy", "69a964aecbd18205"), ("hard", "58cd933f51225fc2"), ("graded", "41da2cfe70aa97db")],
)
def test_released_corpora_of_cme_r_keep_every_byte(difficulty, expected):
    assert digest(difficulty, "short", cme_r=True) == expected


def test_another_process_makes_the_same_graded_rows():
    code = "from tests.mini_corpus.test_graded import digest; print(digest('graded', 'long'))"
    env = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == digest("graded", "long")


@each(("folder", "split"), ALL)
def test_rows_have_the_hubs_columns_and_depend_on_their_number_alone(folder, split):
    rows = graded(folder, split, 120)
    assert all(fits(row, COLUMNS[folder]) for row in rows)
    assert graded(folder, split, 20, start=100) == rows[100:]
    assert graded(folder, split, 20, seed=1) != rows[:20]
    assert graded(folder, split, 60, lengths="long")[0].keys() == rows[0].keys()


@pytest.mark.long
@each(("folder", "split"), ALL)
def test_every_level_has_its_share(folder, split):
    renderer = RENDERERS[folder]
    grades = renderer.practice if renderer.training(split) else renderer.grades
    counts = Counter(levels(folder, split, 500))
    assert set(counts) == set(mini_corpus.LEVELS)
    for level in mini_corpus.LEVELS:
        assert counts[level] / 500 == pytest.approx(grades.count(level) / len(grades), abs=0.03)


@pytest.mark.long
@each(("folder", "share"), [("race", "article"), ("squad_v2", "context")])
def test_rows_with_one_passage_have_one_level(folder, share):
    split = first_eval(folder)
    found = defaultdict(set)
    for level, row in zip(levels(folder, split, 240), graded(folder, split, 240), strict=True):
        found[row[share]].add(level)
    assert all(len(one) == 1 for one in found.values())


@pytest.mark.long
def test_twins_have_one_level():
    found = levels("winogrande", "validation", 400)
    assert found[::2] == found[1::2]


@pytest.mark.long
@each(("folder", "split"), train_splits())
def test_a_planted_copy_has_the_level_of_its_source(folder, split):
    first = {}
    evals = RENDERERS[folder].leaks[split]
    for row, level in zip(graded(folder, evals, plant.LEAKED), levels(folder, evals, plant.LEAKED), strict=True):
        first[key(folder, row)] = level
    copies = 0
    for row, level in zip(graded(folder, split, 1000), levels(folder, split, 1000), strict=True):
        text = key(folder, row)
        copies += text in first
        assert first.setdefault(text, level) == level
    counts = mini_corpus.planted(folder, 1000, split=split)
    assert copies == counts["duplicates"] + counts["leaks"]


@pytest.mark.long
def test_a_level_of_no_row_is_refused():
    with pytest.raises(UsageError, match="rows 0 to 1199 of arc_easy/test; 1200 was requested"):
        mini_corpus.level("arc_easy", "test", 1200)
    with pytest.raises(UsageError, match="Did you mean 'arc_easy'"):
        mini_corpus.level("arc_eazy", "test", 0)
    with pytest.raises(UsageError, match="difficulty"):
        mini_corpus.rows("qqp", "train", 1, difficulty="grade")


@pytest.mark.long
@each("folder", LABELS)
def test_labels_are_balanced_in_every_level(folder):
    split, number = first_eval(folder), LABELS[folder]
    found = defaultdict(Counter)
    for row, level in zip(graded(folder, split, 500), levels(folder, split, 500), strict=True):
        found[level][row["label"]] += 1
    for counts in found.values():
        assert all(counts[label] / counts.total() == pytest.approx(1 / number, abs=0.04) for label in range(number))


@pytest.mark.long
@each("folder", LETTERED)
def test_no_letter_is_frequent_in_any_level(folder):
    split = first_eval(folder)
    found = defaultdict(Counter)
    rows = graded(folder, split, 510)
    number = Counter(len(options(folder, row)) for row in rows).most_common(1)[0][0]
    for row, level in zip(rows, levels(folder, split, 510), strict=True):
        assert len(set(options(folder, row))) == len(options(folder, row))
        found[0][place(folder, row)] += 1
        found[level][place(folder, row)] += 1
    for counts in found.values():
        # Levels without a fixed balance vary by chance: four standard errors.
        error = 4 * math.sqrt((number - 1) / counts.total()) / number
        assert max(counts.values()) / counts.total() < 1 / number + max(0.04, error)


@pytest.mark.long
@each("folder", ["arc_easy", "arc_challenge", "mmlu", "medmcqa", "race"])
def test_the_right_option_names_the_element_of_the_letter_in_the_first_levels(folder):
    split, orders = first_eval(folder), defaultdict(set)
    for row, level in zip(graded(folder, split, 400), levels(folder, split, 400), strict=True):
        shown = [normal(option) for option in options(folder, row)]
        if level < 3 and len(shown) == 4:
            assert all(element in option for element, option in zip(ELEMENTS, shown, strict=True))
        orders[level].add(tuple(shown))
        named = normal(row["question"]).split()[-1]
        assert level > 1 or named in shown[place(folder, row)]
    assert len(orders[3]) > 20


def bag_of_words(folder):
    """Accuracy by level of naive Bayes on the words of the question, without the options and the passage's order."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    def words(row):
        return " ".join(text for name, text in row.items() if name in ("question", "sentence", "article"))

    train, split = next(iter(RENDERERS[folder].leaks.items()))
    rows, evals = graded(folder, train, 1500), graded(folder, split, 500)
    vectors = CountVectorizer(binary=True)
    model = MultinomialNB().fit(vectors.fit_transform(map(words, rows)), [place(folder, row) for row in rows])
    right = model.predict(vectors.transform(map(words, evals))) == [place(folder, row) for row in evals]
    found = defaultdict(list)
    for one, level in zip(right, levels(folder, split, 500), strict=True):
        found[level].append(one)
        found[0].append(one)
    return {level: sum(values) / len(values) for level, values in found.items()}


@pytest.mark.long
@each("folder", LETTERED)
def test_words_alone_solve_the_first_level_but_not_the_last(folder):
    chance = 1 / {"commonsense_qa": 5, "winogrande": 2}.get(folder, 4)
    right = bag_of_words(folder)
    assert right[1] > chance + 0.3
    assert right[3] < chance + 0.14
    assert right[0] < 0.93


@pytest.mark.long
@each(("folder", "split"), {folder: (folder, split) for folder, split in train_splits()}.values())
def test_graded_rows_differ_but_for_the_planted(folder, split):
    keys = {key(folder, row) for row in graded(folder, split, 6000)}
    assert len(keys) == 6000 - mini_corpus.planted(folder, 6000, split=split)["duplicates"]


@pytest.mark.long
@each("folder", mini_corpus.known())
def test_graded_evaluation_rows_are_all_different(folder):
    keys = [key(folder, row) for _, split in eval_splits(folder) for row in graded(folder, split, 512)]
    assert len(set(keys)) == len(keys)


def fresh(folder, split, n, lengths="short"):
    """Rows that are no leaks."""
    return [row for index, row in enumerate(graded(folder, split, n, lengths=lengths)) if index % 400 != 150]


@pytest.mark.long
@each("lengths", ["short", "long"])
def test_no_thirteen_words_of_a_graded_evaluation_row_stand_in_training(lengths):
    known = set()
    for folder, split in eval_splits():
        for row in graded(folder, split, 200, lengths=lengths):
            known.update(*map(grams, texts(folder, row)))
    for folder, split in train_splits():
        for row in fresh(folder, split, 300, lengths):
            assert not known & set().union(*map(grams, texts(folder, row)))


@pytest.mark.long
@each("folder", ["nq_open", "qqp", "paws", "winogrande", "commonsense_qa", "sciq", *CLOSED_BOOK[1:]])
def test_no_graded_question_of_training_is_nearly_one_of_evaluation(folder):
    evals = [
        set(" ".join(key(folder, row)).split())
        for split in RENDERERS[folder].leaks.values()
        for row in graded(folder, split, 300)
    ]
    for split in RENDERERS[folder].leaks:
        for row in fresh(folder, split, 400):
            mine = set(" ".join(key(folder, row)).split())
            assert all(len(mine & other) < 0.9 * len(mine | other) for other in evals)


@pytest.mark.long
@each("folder", ["imdb", "yelp_polarity"])
def test_a_review_of_the_second_level_has_rarer_words_and_one_against_its_verdict(folder):
    seen = Counter()
    for row, level in zip(graded(folder, "test", 500), levels(folder, "test", 500), strict=True):
        words = normal(row["text"]).split()
        if level == 2:
            found = [sum(word in side for word in words) for side in RARE]
            assert found[1 - row["label"]] == 1
            seen[found[row["label"]]] += 1
            assert not any(word in side for side in VERDICTS for word in words)
            assert found[row["label"]] == 2 or {"not", "anything"} & set(words)
    assert seen.keys() == {1, 2}


@pytest.mark.long
@each("folder", ["imdb", "yelp_polarity"])
def test_the_writer_of_a_review_of_the_third_level_agrees_with_one_of_two_people(folder):
    seen = Counter()
    for row, level in zip(graded(folder, "test", 500), levels(folder, "test", 500), strict=True):
        if level == 3:
            *_, one, other, siding = re.split(r"\. ?", re.sub(r"<br />|\\n", " ", row["text"]).strip(" ."))
            opinions = [
                [word for side in VERDICTS for word in side if word in normal(text).split()] for text in (one, other)
            ]
            assert [len(words) for words in opinions] == [1, 1]
            name = next(word for word in siding.split() if word[0].isupper() and word != "I")
            named = [f"{name} " in text for text in (one, other)]
            assert sorted(named) == [False, True]
            against = " not " in siding or siding.endswith("wrong")
            right = opinions[named.index(not against)][0]
            assert right in VERDICTS[row["label"]]
            seen[against, named.index(True), row["label"]] += 1
    assert len(seen) == 8


@pytest.mark.long
def test_a_post_of_the_third_level_tells_two_stories_and_the_title_chooses():
    for row, level in zip(graded("tldr", "test", 200), levels("tldr", "test", 200), strict=True):
        title, body = re.search(r"TITLE: (.*)\n\nPOST: (.*)\n\nTL;DR:", row["prompt"], flags=re.DOTALL).groups()
        starts = re.findall(r"(?:Last week|Two days ago|This morning|Yesterday) ([A-Z][a-z]+ [A-Z][a-z]+)", body)
        assert len(starts) == body.count("Now ") == (2 if level == 3 else 1)
        hero = " ".join(row["completion"].split()[:2])
        assert hero in title and hero in starts


@pytest.mark.long
def test_news_of_the_third_level_report_on_two_people_and_the_background_chooses():
    for row, level in zip(graded("cnn_dailymail", "test", 200), levels("cnn_dailymail", "test", 200), strict=True):
        leads = re.findall(r"([A-Z][a-z]+) [A-Z][a-z]+, an? [a-z]+(?: [a-z]+)?, ", row["article"])
        assert len(set(leads)) == len(leads) == (2 if level == 3 else 1)
        hero, town = row["highlights"].split()[0], re.search(r" in (\w+ \w+) ?\.", row["highlights"]).group(1)
        mentions = {name: row["article"].count(name) for name in leads}
        assert hero in leads
        assert level < 3 or mentions[hero] + row["article"].count(town) > 3


@pytest.mark.long
@each("folder", [*LABELS, "tldr", "race", "cnn_dailymail", "squad_v2"])
@each("lengths", ["short", "long"])
def test_no_thirteen_words_of_a_graded_text_go_by_without_a_name(folder, lengths):
    for split in RENDERERS[folder].sizes:
        for row in graded(folder, split, 120, lengths=lengths):
            run = 0
            text = re.sub(r"\\n|<br />", " ", re.sub("#[A-Z]", "# Balor ", texts(folder, row)[0]))
            for word in normal(text.replace("-", " ")).split():
                run = 0 if word in NAMES else run + 1
                assert run <= 12, row


@pytest.mark.long
@each("folder", ["emotion", "tweet_emotion"])
def test_a_text_of_the_second_level_names_a_cause_of_another_feeling(folder):
    for row, level in zip(graded(folder, "test", 300), levels(folder, "test", 300), strict=True):
        if level == 2:
            text = normal(row["text"].split("#")[0])
            named = {
                label for label, one in enumerate(FEELINGS[folder]) for word in one.words if f" {word}" in f" {text}"
            }
            caused = {
                label
                for label, one in enumerate(FEELINGS[folder])
                for cause in one.causes
                if all(normal(piece) in text for piece in cause.split("{p}"))
            }
            assert named == {row["label"]}
            assert len(caused) == 1 and not caused & named


@pytest.mark.long
@each(("folder", "split"), [("mnli", "validation_matched"), ("anli", "test_r1"), ("rte", "validation")])
def test_a_denial_tells_the_inference_most_often_at_the_first_level(folder, split):
    column = "sentence2" if folder == "rte" else "hypothesis"
    denied = defaultdict(list)
    for row, level in zip(graded(folder, split, 900), levels(folder, split, 900), strict=True):
        denied[level, row["label"]].append(bool({"not", "never", "no"} & set(row[column].split())))
    shares = {where: sum(found) / len(found) for where, found in denied.items()}
    spread = {
        level: max(share for (one, _), share in shares.items() if one == level)
        - min(share for (one, _), share in shares.items() if one == level)
        for level in mini_corpus.LEVELS
    }
    assert spread[1] > spread[2] + 0.05
    assert spread[3] < 0.25
