"""Texts, summaries, trivia and reading: labels right and balanced, the traps of the real sets, no shortcuts in hard rows."""

import re
from collections import Counter

import pyarrow as pa
import pytest

from cme import mini_corpus
from cme.mini_corpus import atlas, feelings, names, plant
from cme.mini_corpus.render import RENDERERS
from tests.mini_corpus.key import key, normal, texts

pytestmark = pytest.mark.long

LABELS = {"imdb": 2, "yelp_polarity": 2, "emotion": 6, "tweet_emotion": 4}
FEELINGS = {
    "emotion": [getattr(feelings, name) for name in ("SADNESS", "JOY", "LOVE", "ANGER", "FEAR", "SURPRISE")],
    "tweet_emotion": [getattr(feelings, name) for name in ("ANGER", "JOY", "OPTIMISM", "SADNESS")],
}
MINE = [*LABELS, "tldr", "trivia_qa", "race"]
each = pytest.mark.parametrize
both = each("difficulty", ["easy", "hard"])


def last(folder):
    return list(RENDERERS[folder].sizes)[-1]


@each("folder", LABELS)
@both
def test_labels_are_balanced(folder, difficulty):
    for split in RENDERERS[folder].sizes:
        counts = Counter(row["label"] for row in mini_corpus.rows(folder, split, 480, difficulty=difficulty))
        assert set(counts) == set(range(LABELS[folder]))
        assert max(counts.values()) - min(counts.values()) <= 12


@each("folder", ["imdb", "yelp_polarity"])
def test_every_word_of_an_easy_review_agrees_with_its_label(folder):
    blame, praise = map(set, feelings.VERDICTS)
    for row in mini_corpus.rows(folder, "test", 400):
        found = set(re.findall(r"[a-z]+", row["text"].lower()))
        assert found & (blame, praise)[row["label"]]
        assert not found & (praise, blame)[row["label"]]


@each("folder", ["imdb", "yelp_polarity"])
def test_a_hard_review_names_praise_and_blame_equally_often(folder):
    for row in mini_corpus.rows(folder, "test", 400, difficulty="hard"):
        found = re.findall(r"[a-z]+", row["text"].lower())
        assert [sum(found.count(word) for word in side) for side in feelings.VERDICTS] == [2, 2]


@each("folder", ["imdb", "yelp_polarity"])
def test_the_verdict_of_a_hard_review_is_the_speakers(folder):
    blame, praise = feelings.VERDICTS
    counts = Counter()
    for row in mini_corpus.rows(folder, "test", 400, difficulty="hard"):
        text = row["text"]
        found = re.search(r"I disagree: .* was (\w+)\.|called .* (\w+) and I agree|calls it (\w+), and so do I", text)
        assert found[found.lastindex] in (blame, praise)[row["label"]]
        counts[found.lastindex] += 1
    assert len(counts) == 3


@each("folder", LABELS)
def test_no_word_of_a_hard_text_gives_the_label_away(folder):
    """Every frequent word stands under each of the labels."""
    rows = mini_corpus.rows(folder, "train", 3000, difficulty="hard")
    counts = Counter((word, row["label"]) for row in rows for word in set(normal(row["text"]).split()))
    for word in {word for word, _ in counts}:
        shares = [counts[word, label] for label in range(LABELS[folder])]
        if sum(shares) >= 60:
            assert max(shares) < 0.7 * sum(shares), (word, shares)


@each("folder", FEELINGS)
@both
def test_the_writer_has_the_feeling_of_the_label(folder, difficulty):
    words = {label: one.words for label, one in enumerate(FEELINGS[folder])}
    for row in mini_corpus.rows(folder, "test", 400, difficulty=difficulty):
        text = row["text"].lower()
        named = [label for label in words for word in words[label] if re.search(rf"(?<!#)\b{word}\b", text)]
        assert row["label"] in named
        assert len(set(named)) == (1 if difficulty == "easy" else 2)
        if difficulty == "hard":
            own = re.search(
                r"(?:but i feel|^(?:@user )?i feel|today i feel|knows that i am|but i am|^(?:@user )?i am) (?!not )(.*)",
                text,
            )
            assert any(own.group(1).startswith(word) for word in words[row["label"]]), text


def test_each_word_of_feeling_belongs_to_one_feeling_of_a_dataset():
    for found in FEELINGS.values():
        words = [word for one in found for word in one.words]
        assert len(set(words)) == len(words)
        assert all("{p}" in cause for one in found for cause in one.causes)
        assert not {word for one in found for word in one.words} & {
            word for one in found for cause in one.causes for word in cause.lower().split()
        }


def test_texts_have_the_traps_of_the_hub():
    def share(folder, sign):
        rows = mini_corpus.rows(folder, "train", 600)
        return sum(sign in row["text"] for row in rows) / len(rows)

    assert 0.3 < share("imdb", "<br /><br />") < 0.5
    assert 0.4 < share("yelp_polarity", r"\n") < 0.6
    assert 0.1 < share("yelp_polarity", '\\""Come') < 0.4
    assert share("tweet_emotion", "@user") > 0.3
    assert share("tweet_emotion", "#") == 1
    assert share("tweet_emotion", "&amp;") > 0.1 and share("tweet_emotion", r"\n") > 0.1
    for row in mini_corpus.rows("emotion", "train", 600, lengths="long"):
        assert re.fullmatch("[a-z ]+", row["text"]) or "  " in row["text"]


@each("folder", ["tldr", "imdb", "yelp_polarity", "tweet_emotion"])
def test_copies_keep_marks_as_they_are(folder):
    """A break in capitals would be another text to the normaliser, and the planted copy would not be found."""
    marks = RENDERERS[folder].marks
    copies = [row for index, row in enumerate(mini_corpus.rows(folder, "train", 8000)) if index % 200 in (150, 199)]
    seen = Counter()
    for row in copies:
        text = texts(folder, row)[0]
        for mark in marks:
            found = re.findall(" +".join(map(re.escape, mark.split(" "))), text, flags=re.IGNORECASE)
            assert all(one == mark for one in found), text
            seen[mark] += len(found)
    assert all(seen[mark] for mark in marks)


def post(row):
    found = re.fullmatch(r"SUBREDDIT: r/(\w+)\n\nTITLE: (.+)\n\nPOST: (.+)\n\nTL;DR:", row["prompt"], flags=re.DOTALL)
    assert found, row["prompt"]
    return found.group(3)


@both
@each("lengths", ["short", "long"])
def test_a_tldr_says_the_main_event_in_the_words_of_the_post(difficulty, lengths):
    firsts = 0
    for row in mini_corpus.rows("tldr", "test", 300, difficulty=difficulty, lengths=lengths):
        assert row["completion"].startswith(" ") and not row["completion"].startswith("  ")
        event, question = row["completion"].strip().removesuffix(".").split(" and now ")
        body = post(row)
        assert event in body
        assert f"Now {question}." in body
        firsts += event in re.split(r"\.\s", body)[0]
    assert firsts == 0


def test_a_hard_tldr_tells_somebody_elses_deed_and_may_say_the_outcome_before_the_event():
    rows = mini_corpus.rows("tldr", "test", 300, difficulty="hard")
    assert all("Years ago" in post(row) and "Years ago" not in row["completion"] for row in rows)
    events = [row["completion"].strip().split(" and now ")[0] for row in rows]
    before = sum(post(row).index("Now ") < post(row).index(event) for row, event in zip(rows, events, strict=True))
    assert 0.3 < before / 300 < 0.7


def test_some_posts_have_blank_lines_and_the_mark_of_the_end():
    rows = mini_corpus.rows("tldr", "train", 1000)
    assert sum("\n\n" in post(row) for row in rows) > 100
    assert 0 < sum("TL;DR:" in post(row) for row in rows) < 60


@each("lengths", ["short", "long"])
def test_hard_news_do_not_begin_with_the_main_facts(lengths):
    for row in mini_corpus.rows("cnn_dailymail", "test", 300, lengths=lengths, difficulty="hard"):
        lead, fact = (bullet.removesuffix(".").strip() for bullet in row["highlights"].split("\n"))
        article = row["article"]
        deed = " ".join(lead.split()[2:]).rsplit(" in ", 1)[0]
        places = article.index(deed), article.index(fact), article.index("Years ago")
        assert ". " in article[: places[0]] or '." ' in article[: places[0]]
        assert places[1] > places[0]
        assert article.count(deed) == 1


def test_hard_news_say_what_easy_ones_do():
    def shared_facts(difficulty):
        rows = mini_corpus.rows("cnn_dailymail", "validation", 100, difficulty=difficulty)
        return [normal(row["highlights"]) for row in rows]

    assert shared_facts("easy") == shared_facts("hard")


def test_hard_passages_tell_the_same_matters_of_others():
    rows = mini_corpus.rows("squad_v2", "validation", 400, difficulty="hard")
    for row in rows:
        for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert row["context"][start : start + len(text)] == text
    easy = mini_corpus.rows("squad_v2", "validation", 400)
    assert [row["question"][:4] for row in rows].count("What") > 50
    assert sum(len(row["context"]) for row in rows) > 2 * sum(len(row["context"]) for row in easy)
    # A passage without the answer's matter would be told apart by its words alone.
    colours = [row for row in rows if "colour" in row["question"] and "house" in row["question"]]
    assert {bool(row["answers"]["text"]) for row in colours} == {True, False}
    assert all(re.search(r"\bhouse\b", row["context"]) for row in colours)


@each("folder", ["nq_open", "trivia_qa"])
def test_a_hard_name_has_no_word_that_tells_the_answer(folder):
    endings = {
        word.lower()
        for rules in (atlas.LANDSCAPES, atlas.DIETS, atlas.SEASONS, atlas.GOODS, atlas.SPORTS, atlas.INSTRUMENTS)
        for word in rules
    }
    for split in RENDERERS[folder].sizes:
        easy, hard = (mini_corpus.rows(folder, split, 300, difficulty=level) for level in ("easy", "hard"))
        assert all(endings & set(normal(row["question"]).split()) for row in easy)
        assert not any(endings & set(normal(row["question"]).split()) for row in hard)


@each("folder", ["nq_open", "trivia_qa"])
@both
def test_closed_book_evaluation_has_the_answers_of_training(folder, difficulty):
    roots = {names.root(index, "shared") for index in range(names.ROOTS)}

    def answers(split):
        found = {}
        for row in mini_corpus.rows(folder, split, 480, difficulty=difficulty):
            words = normal(row["question"]).split()
            root = next(word for word in words if word in roots)
            found.setdefault(root, set()).add(row["answer"]["value"] if folder == "trivia_qa" else row["answer"][0])
        return found

    train, evals = answers("train"), answers("validation")
    assert all(evals[root] <= train[root] for root in evals)
    assert sum(map(len, evals.values())) == 48


def test_trivia_follows_the_rules_of_the_world():
    rules = {**atlas.GOODS, **atlas.SPORTS, **atlas.INSTRUMENTS}
    counts = Counter()
    for row in mini_corpus.rows("trivia_qa", "validation", 576):
        ending = next(word for word in rules if f" {word.lower()} " in f" {normal(row['question'])} ")
        answer = row["answer"]
        if "," not in answer["aliases"][-1]:
            assert answer["value"].lower() == rules[ending]
            counts[ending] += 1
    assert set(counts) == set(rules)
    assert max(counts.values()) < 0.15 * 576


def test_trivia_aliases_are_normalised_and_pages_are_empty():
    rows = mini_corpus.rows("trivia_qa", "train", 400)
    for row in rows:
        answer = row["answer"]
        assert answer["value"] in answer["aliases"] and len(answer["aliases"]) >= 2
        assert set(answer["normalized_aliases"]) == {
            normal(alias).removeprefix("the ").removeprefix("a ") for alias in answer["aliases"]
        }
        assert answer["normalized_value"] in answer["normalized_aliases"]
        assert not any(row["entity_pages"].values()) and not any(row["search_results"].values())
    assert 0 < sum(row["question"].startswith('"') and '""' in row["question"] for row in rows) < 60


@each("folder", MINE)
@both
def test_rows_make_a_table(folder, difficulty):
    rows = mini_corpus.rows(folder, last(folder), 50, difficulty=difficulty)
    table = pa.Table.from_pylist(rows)
    assert table.to_pylist() == rows
    if folder == "trivia_qa":
        assert table.schema.field("answer").type.field("aliases").type == pa.list_(pa.string())


def own_sentences(row):
    """The person of a question, and the person's sentences in the article."""
    person = re.search(r"[A-Z][a-z]+ [A-Z][a-z]+", row["question"].replace("How does", "").split(" ", 1)[1])
    person = person or re.search(r"[A-Z][a-z]+ [A-Z][a-z]+", row["question"])
    first = person.group().split()[0]
    return [sentence for sentence in row["article"].split(". ") if sentence.startswith(first)]


@both
@each("lengths", ["short", "long"])
def test_the_correct_option_is_stated_about_the_person_in_the_question(difficulty, lengths):
    places = Counter()
    for row in mini_corpus.rows("race", "test", 450, difficulty=difficulty, lengths=lengths):
        own = " ".join(own_sentences(row))
        stated = [option for option in row["options"] if re.search(rf"\b{option}\b", own)]
        assert stated == [row["options"]["ABCD".index(row["answer"])]]
        places[row["answer"]] += 1
    assert set(places) == set("ABCD")
    assert max(places.values()) < 0.33 * 450


def test_an_easy_letter_is_a_class_and_a_hard_one_is_not():
    def orders(difficulty):
        return {tuple(row["options"]) for row in mini_corpus.rows("race", "test", 300, difficulty=difficulty)}

    assert len(orders("easy")) == 3
    assert len(orders("hard")) > 200


def test_hard_options_stand_in_the_article():
    for row in mini_corpus.rows("race", "test", 300, difficulty="hard"):
        assert sum(bool(re.search(rf"\b{option}\b", row["article"])) for option in row["options"]) == 3


def test_race_questions_share_articles_and_some_have_a_gap():
    rows = mini_corpus.rows("race", "train", 140)  # the first leak is row 150
    by_article = {}
    for row in rows:
        by_article.setdefault(row["article"], set()).add(row["example_id"])
    assert len(by_article) == 47 and all(len(ids) == 1 for ids in by_article.values())
    assert {row["example_id"].rstrip("0123456789.tx") for row in rows} == {"high", "middle"}
    assert 0.1 < sum(" _ " in row["question"] for row in rows) / 140 < 0.4


@each("folder", MINE)
def test_easy_texts_are_short(folder):
    lengths = sorted(len(" ".join(texts(folder, row)).split()) for row in mini_corpus.rows(folder, last(folder), 200))
    assert lengths[len(lengths) // 2] <= 60
    assert lengths[len(lengths) // 2] <= 48 or folder in ("tldr", "race")


@each("folder", ["tldr", "imdb", "yelp_polarity", "race"])
def test_long_texts_are_as_long_as_the_hubs(folder):
    lengths = sorted(
        len(" ".join(texts(folder, row)).split()) for row in mini_corpus.rows(folder, last(folder), 60, lengths="long")
    )
    assert 100 <= lengths[len(lengths) // 2] <= 400


NAMES = {
    name.lower()
    for pool in ("train", "eval")
    for found in (
        (names.root(index, pool) for index in range(names.ROOTS)),
        (names.given(index, pool) for index in range(names.GIVEN)),
        (names.person(index, pool)[1] for index in range(0, names.PEOPLE, names.GIVEN)),
    )
    for name in found
}


@each("folder", [*LABELS, "tldr", "race", "cnn_dailymail", "squad_v2"])
@both
@each("lengths", ["short", "long"])
def test_no_thirteen_words_go_by_without_a_name(folder, difficulty, lengths):
    """Else two texts about different things could share a 13-gram, and the gate would drop the training one."""
    for split in RENDERERS[folder].sizes:
        for row in mini_corpus.rows(folder, split, 120, difficulty=difficulty, lengths=lengths):
            run = 0
            text = re.sub(r"\\n|<br />", " ", re.sub("#[A-Z]", "# Balor ", texts(folder, row)[0]))
            for word in normal(text.replace("-", " ")).split():
                run = 0 if word in NAMES else run + 1
                assert run <= 12, row


@each("folder", MINE)
def test_hard_rows_differ_from_easy_ones_and_from_each_other(folder):
    split = last(folder)
    easy, hard = (
        [key(folder, row) for row in mini_corpus.rows(folder, split, 400, difficulty=level)]
        for level in ("easy", "hard")
    )
    assert len(set(hard)) == len(hard)
    assert sum(one == other for one, other in zip(easy, hard, strict=True)) < 0.1 * len(easy)


@each("folder", MINE)
def test_hard_duplicates_are_those_announced(folder):
    rows = [
        key(folder, plant.row(RENDERERS[folder], "train", index, 0, long=False, hard=True)) for index in range(2000)
    ]
    assert len(rows) - len(set(rows)) == mini_corpus.planted(folder, 2000)["duplicates"]
