"""Content: labels balanced, answers where they are said to be, and the traps of the real sets."""

import re
from collections import Counter

import pytest

from cme import mini_corpus
from cme.mini_corpus import atlas
from cme.mini_corpus.render import RENDERERS
from tests.mini_corpus.key import ALL, eval_splits, normal

pytestmark = pytest.mark.long


def shares(values):
    counts = Counter(values)
    return {value: count / sum(counts.values()) for value, count in counts.items()}


@pytest.mark.parametrize("split", ["train", "validation"])
def test_qqp_has_forty_percent_duplicates(split):
    rows = [row for row in mini_corpus.rows("qqp", split, 1000) if row["label"] != -1]
    assert shares(row["label"] for row in rows)[1] == pytest.approx(0.4, abs=0.02)


def test_hard_qqp_has_pairs_on_the_same_thing():
    """Word overlap alone does not give the label away."""
    overlaps = {0: [], 1: []}
    for row in mini_corpus.rows("qqp", "validation", 500, difficulty="hard"):
        one, other = (set(normal(row[name]).split()) for name in ("question1", "question2"))
        overlaps[row["label"]].append(len(one & other) / len(one | other))
    assert max(overlaps[0]) > sorted(overlaps[1])[len(overlaps[1]) // 2]
    assert min(overlaps[1]) < sorted(overlaps[0])[len(overlaps[0]) // 2]


@pytest.mark.parametrize("split", list(RENDERERS["anli"].sizes))
def test_anli_labels_are_balanced(split):
    found = shares(row["label"] for row in mini_corpus.rows("anli", split, 900))
    assert set(found) == {0, 1, 2}
    assert all(share == pytest.approx(1 / 3, abs=0.01) for share in found.values())


def test_anli_reasons_are_often_missing_and_tell_the_label_where_they_stand():
    rows = mini_corpus.rows("anli", "train_r3", 600)
    labels_by_reason = {}
    for row in rows:
        labels_by_reason.setdefault(row["reason"], set()).add(row["label"])
    assert labels_by_reason.pop("") == {0, 1, 2}
    assert all(len(labels) == 1 for labels in labels_by_reason.values())
    assert 0.6 < shares(row["reason"] == "" for row in rows)[True] < 0.8


def test_anli_negation_alone_does_not_decide():
    rows = mini_corpus.rows("anli", "test_r1", 1000)
    denied = Counter(row["label"] for row in rows if " not " in row["hypothesis"] or " never " in row["hypothesis"])
    assert set(denied) == {0, 1, 2}
    assert denied[2] < 0.8 * sum(row["label"] == 2 for row in rows)


@pytest.mark.parametrize("folder", ["arc_easy", "arc_challenge"])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_arc_answers_exist_and_are_spread_over_the_positions(folder, split):
    places = []
    for row in mini_corpus.rows(folder, split, 600):
        texts, labels = row["choices"]["text"], row["choices"]["label"]
        assert len(texts) == len(labels) == len(set(texts))
        places.append(labels.index(row["answerKey"]))
    assert all(shares(places)[place] == pytest.approx(0.25, abs=0.08) for place in range(4))


@pytest.mark.parametrize("split", ["train", "test"])
def test_arc_has_digit_keys_and_three_and_five_options(split):
    rows = [row for folder in ("arc_easy", "arc_challenge") for row in mini_corpus.rows(folder, split, 600)]
    digits = [row for row in rows if row["answerKey"].isdigit()]
    assert 0 < len(digits) < 0.05 * len(rows)
    assert all(row["choices"]["label"] == list("12345")[: len(row["choices"]["text"])] for row in digits)
    sizes = Counter(len(row["choices"]["text"]) for row in rows)
    assert set(sizes) == {3, 4, 5}
    assert sizes[4] > 0.9 * len(rows)


def test_arc_follows_the_rules_of_the_world():
    for row in mini_corpus.rows("arc_easy", "test", 120):
        for animal, food in atlas.DIETS.items():
            if f" {animal} " in row["question"]:
                assert row["choices"]["text"][row["choices"]["label"].index(row["answerKey"])] == food


@pytest.mark.parametrize("split", ["train", "validation"])
def test_nq_open_is_lower_case_without_a_question_mark_and_accepts_aliases(split):
    rows = mini_corpus.rows("nq_open", split, 500)
    assert all(row["question"] == row["question"].lower() and "?" not in row["question"] for row in rows)
    assert {len(row["answer"]) for row in rows} == {1, 2, 3}
    assert max(shares(row["answer"][0] for row in rows).values()) < 0.15


def test_nq_open_goes_round_a_small_core_first():
    answers = Counter(row["question"].split()[-1] for row in mini_corpus.rows("nq_open", "train", 200))
    assert len(mini_corpus.rows("nq_open", "train", 200)) / len(answers) > 2


@pytest.mark.parametrize("lengths", ["short", "long"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_squad_answers_are_at_their_offsets(split, lengths):
    leading = 0
    for row in mini_corpus.rows("squad_v2", split, 1200, lengths=lengths):
        context, answers = row["context"], row["answers"]
        assert len(answers["text"]) == len(answers["answer_start"])
        leading += context.startswith(" ")
        for text, start in zip(answers["text"], answers["answer_start"], strict=True):
            assert context[start : start + len(text)] == text
        if answers["text"] and lengths == "short":
            assert len(re.findall(rf"\b{max(answers['text'], key=len)}\b", context)) == 1
    assert leading


def test_squad_abstains_as_often_as_the_real_set():
    def open_share(split):
        return shares(bool(row["answers"]["text"]) for row in mini_corpus.rows("squad_v2", split, 1200))[False]

    assert open_share("train") == pytest.approx(1 / 3, abs=0.02)
    assert open_share("validation") == pytest.approx(1 / 2, abs=0.02)


def test_squad_has_one_gold_in_training_and_several_in_validation():
    def golds(split):  # the first leak is row 150
        return {len(row["answers"]["text"]) for row in mini_corpus.rows("squad_v2", split, 150)}

    assert golds("train") == {0, 1}
    assert golds("validation") == {0, 3}


def test_squad_questions_share_passages():
    rows = mini_corpus.rows("squad_v2", "validation", 400)
    assert len({row["context"] for row in rows}) == 100
    assert len({(row["context"], row["question"]) for row in rows}) == 400


@pytest.mark.parametrize("lengths", ["short", "long"])
def test_highlights_repeat_the_first_facts_of_the_article(lengths):
    endings = Counter()
    for row in mini_corpus.rows("cnn_dailymail", "test", 300, lengths=lengths):
        bullets = row["highlights"].split("\n")
        assert len(bullets) == 2
        article = normal(row["article"]).split()
        for bullet in bullets:
            endings[" ." if bullet.endswith(" .") else "."] += 1
            words = normal(bullet).split()
            assert sum(word in article for word in words) == len(words)
        opening = normal(" ".join(row["article"].split(". ")[:2]))
        assert normal(bullets[1]) in opening
    assert set(endings) == {" .", "."}


def strings(value):
    if isinstance(value, str):
        return [value]
    renderers = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for renderer in renderers for text in strings(renderer)]


@pytest.mark.parametrize(("folder", "split"), ALL)
def test_no_template_is_left_unfilled(folder, split):
    for row in mini_corpus.rows(folder, split, 300, lengths="long"):
        assert not any("{" in text for text in strings(row))


def test_every_split_of_a_name_pool_has_its_own_things():
    seen = {}
    for _, split in eval_splits("anli"):
        for row in mini_corpus.rows("anli", split, 200):
            assert seen.setdefault(row["premise"], split) == split
