"""Training and evaluation: different names, no shared passages; many rows, all different."""

import re
from pathlib import Path

import pytest

from cme import mini_corpus
from cme.mini_corpus import names
from cme.mini_corpus.entities import KINDS
from cme.mini_corpus.render import RENDERERS
from tests.mini_corpus.key import eval_splits, key, normal, texts, train_splits

pytestmark = pytest.mark.long

CLOSED_BOOK = ("nq_open", "trivia_qa", "arc_easy", "arc_challenge", "mmlu", "medmcqa")


def fresh(folder, split, n, lengths="short"):
    """Rows that are no leaks."""
    rows = mini_corpus.rows(folder, split, n, lengths=lengths)
    return [row for index, row in enumerate(rows) if not RENDERERS[folder].training(split) or index % 400 != 150]


def every_name(pool):
    people = {word for index in range(0, names.PEOPLE, names.GIVEN) for word in names.person(index, pool)}
    return (
        people
        | {names.given(index, pool) for index in range(names.GIVEN)}
        | {names.root(index, pool) for index in range(names.ROOTS)}
        | {names.material(index, pool) for index in range(names.MATERIALS)}
    )


def test_name_pools_are_disjoint_and_names_unique():
    pools = [{name.lower() for name in every_name(pool)} for pool in names.POOLS]
    for number, one in enumerate(pools):
        assert not any(one & other for other in pools[number + 1 :])
    for pool in names.POOLS:
        assert len({names.root(index, pool) for index in range(names.ROOTS)}) == names.ROOTS
        assert len({names.given(index, pool) for index in range(names.GIVEN)}) == names.GIVEN
        assert len({names.material(index, pool) for index in range(names.MATERIALS)}) == names.MATERIALS


def test_no_name_is_a_real_ones_or_unpleasant():
    bad = {
        "biden",
        "stalin",
        "lenin",
        "hamas",
        "paris",
        "milan",
        "yemen",
        "penis",
        "semen",
        "boner",
        "koran",
        "jesus",
        "nazis",
    }
    renderers = ("nazi", "penis", "hitl", "shit", "fuck", "cunt", "whor", "rapis", "nigg", "slut", "kike", "tits")
    for pool in names.POOLS:
        for name in map(str.lower, every_name(pool)):
            assert name not in bad
            assert not any(renderer in name for renderer in renderers), name


@pytest.mark.parametrize("folder", [name for name in dict(train_splits()) if name not in CLOSED_BOOK])
def test_evaluation_names_nothing_that_training_names(folder):
    def named(splits):
        words = set()
        for split in splits:
            for row in fresh(folder, split, 600, "long"):
                words |= set(re.findall(r"[a-z]+", " ".join(texts(folder, row)).replace(r"\n", " ").lower()))
        return words

    pools = {pool: {name.lower() for name in every_name(pool)} for pool in names.POOLS}
    train = named([split for name, split in train_splits() if name == folder])
    evals = named([split for _, split in eval_splits(folder)])
    assert len(train & pools["train"]) > 100
    assert len(evals & pools["eval"]) > 100
    # A few roots are English words too: used as a word, in a table of the world, they name nothing.
    modules = [path for path in Path(mini_corpus.__file__).parent.rglob("*.py") if path.name != "names.py"]
    ordinary = {word for path in modules for word in re.findall(r"[a-z]+", path.read_text("utf-8").lower())}
    assert train & pools["eval"] <= ordinary
    assert evals & pools["train"] <= ordinary


@pytest.mark.parametrize("folder", CLOSED_BOOK)
def test_evaluation_asks_what_training_tells_in_other_words(folder):
    def things(rows):
        """Names of the shared pool: what the fact is about."""
        found = set()
        for row in rows:
            words = re.findall(r"[a-z]+", row["question"].lower())
            found |= set(words) & shared
        return found

    shared = {names.root(index, "shared") for index in range(names.ROOTS)}
    shared |= {names.material(index, "shared") for index in range(names.MATERIALS)}
    taught = things(row for name, split in train_splits() if name == folder for row in fresh(folder, split, 640))
    for _, split in eval_splits(folder):
        assert things(mini_corpus.rows(folder, split, 512)) <= taught


def test_closed_book_answers_agree():
    """The same thing asked in training and evaluation has the same answers."""

    def answers(split):
        return {thing(row["question"]): row["answer"] for row in mini_corpus.rows("nq_open", split, 480)}

    def thing(question):
        return bool(re.search("who|founder", question)), *sorted(word for word in question.split() if word in roots)

    roots = {names.root(index, "shared") for index in range(names.ROOTS)}
    train, evals = answers("train"), answers("validation")
    assert len(evals) == 48
    assert all(train[name] == value for name, value in evals.items())


@pytest.mark.long
@pytest.mark.parametrize(("folder", "split"), {folder: (folder, split) for folder, split in train_splits()}.values())
def test_twenty_thousand_rows_differ_but_for_the_planted(folder, split):
    keys = {key(folder, row) for row in mini_corpus.rows(folder, split, 20_000)}
    assert len(keys) == 20_000 - mini_corpus.planted(folder, 20_000, split=split)["duplicates"]


@pytest.mark.parametrize("folder", mini_corpus.known())
def test_evaluation_rows_are_all_different(folder):
    keys = [key(folder, row) for _, split in eval_splits(folder) for row in mini_corpus.rows(folder, split, 512)]
    assert len(set(keys)) == len(keys)


def grams(text):
    words = normal(text).split()
    return {" ".join(words[at : at + 13]) for at in range(len(words) - 12)}


@pytest.mark.parametrize("lengths", ["short", "long"])
def test_no_thirteen_words_of_an_evaluation_row_stand_in_training(lengths):
    """The gate compares 13-grams of all against all: templates alone must not trip it."""
    known = set()
    for folder, split in eval_splits():
        for row in mini_corpus.rows(folder, split, 200, lengths=lengths):
            known.update(*map(grams, texts(folder, row)))
    for folder, split in train_splits():
        for row in fresh(folder, split, 300, lengths):
            assert not known & set().union(*map(grams, texts(folder, row)))


@pytest.mark.long
@pytest.mark.parametrize("folder", ["nq_open", "qqp", "paws", "winogrande", "commonsense_qa", "sciq", *CLOSED_BOOK[1:]])
def test_no_question_of_training_is_nearly_one_of_evaluation(folder):
    """The gate also drops short questions that share nine tenths of their words with an evaluation one."""
    renderer = RENDERERS[folder]
    evals = [
        set(" ".join(key(folder, row)).split())
        for split in renderer.leaks.values()
        for row in mini_corpus.rows(folder, split, 300)
    ]
    for split in renderer.leaks:
        for row in fresh(folder, split, 500):
            mine = set(" ".join(key(folder, row)).split())
            assert all(len(mine & other) < 0.9 * len(mine | other) for other in evals)


def test_no_phrase_is_so_long_that_a_13_gram_could_lack_a_name():
    """A name ends in at most two common words ("the Balor Frost festival"), and "the" may start the next."""
    for kind in KINDS.values():
        for relation in kind.relations:
            longest = max(len(value.split()) for value in relation.values)
            assert all(len(phrase.split()) - 1 + longest <= 9 for phrase in relation.phrases)
        assert all(len(rumour.phrase.split()) <= 9 for rumour in kind.rumours)
