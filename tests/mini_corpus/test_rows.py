"""Rows: the interface, reproducibility and the hub's columns."""

import hashlib
import json
import os
import string
import subprocess
import sys
from types import NoneType

import pytest

from cme import mini_corpus
from cme.errors import UsageError
from tests.mini_corpus.key import ALL, eval_splits, train_splits

COLUMNS = {
    "qqp": {"question1": str, "question2": str, "label": int, "idx": int},
    "anli": {"uid": str, "premise": str, "hypothesis": str, "label": int, "reason": str},
    "arc_easy": {"id": str, "question": str, "choices": {"text": [str], "label": [str]}, "answerKey": str},
    "arc_challenge": {"id": str, "question": str, "choices": {"text": [str], "label": [str]}, "answerKey": str},
    "nq_open": {"question": str, "answer": [str]},
    "mbpp": {
        "task_id": int,
        "text": str,
        "code": str,
        "test_list": [str],
        "test_setup_code": str,
        "challenge_test_list": [str],
    },
    "humaneval": {"task_id": str, "prompt": str, "canonical_solution": str, "test": str, "entry_point": str},
    "squad_v2": {
        "id": str,
        "title": str,
        "context": str,
        "question": str,
        "answers": {"text": [str], "answer_start": [int]},
    },
    "cnn_dailymail": {"article": str, "highlights": str, "id": str},
    "tldr": {"prompt": str, "completion": str},
    **{name: {"text": str, "label": int} for name in ("imdb", "yelp_polarity", "emotion", "tweet_emotion")},
    "trivia_qa": {
        "question": str,
        "question_id": str,
        "question_source": str,
        "entity_pages": {name: [str] for name in ("doc_source", "filename", "title", "wiki_context")},
        "search_results": {
            name: [str] for name in ("description", "filename", "rank", "title", "url", "search_context")
        },
        "answer": {
            "aliases": [str],
            "normalized_aliases": [str],
            **dict.fromkeys(("matched_wiki_entity_name", "normalized_matched_wiki_entity_name"), str),
            **dict.fromkeys(("normalized_value", "type", "value"), str),
        },
    },
    "race": {"example_id": str, "article": str, "question": str, "options": [str], "answer": str},
    "mnli": {"premise": str, "hypothesis": str, "label": int, "idx": int},
    "rte": {"sentence1": str, "sentence2": str, "label": int, "idx": int},
    "qnli": {"question": str, "sentence": str, "label": int, "idx": int},
    "paws": {"id": int, "sentence1": str, "sentence2": str, "label": int},
    "winogrande": {"sentence": str, "option1": str, "option2": str, "answer": str},
    "commonsense_qa": {
        "id": str,
        "question": str,
        "question_concept": str,
        "choices": {"label": [str], "text": [str]},
        "answerKey": str,
    },
    "sciq": {
        "question": str,
        "distractor3": str,
        "distractor1": str,
        "distractor2": str,
        "correct_answer": str,
        "support": str,
    },
    "gsm8k": {"question": str, "answer": str},
    "aqua_rat": {"question": str, "options": [str], "rationale": str, "correct": str},
    "svamp": dict.fromkeys(("Body", "Question", "Equation", "Answer", "Type", "question_concat", "ID"), str),
    "mmlu": {"question": str, "subject": str, "choices": [str], "answer": int},
    "medmcqa": {
        "id": str,
        "question": str,
        **{f"op{letter}": str for letter in "abcd"},
        "cop": int,
        "choice_type": str,
        "exp": (str, NoneType),
        "subject_name": str,
        "topic_name": (str, NoneType),
    },
}


def fits(value, kind):
    if isinstance(kind, dict):
        return value.keys() == kind.keys() and all(fits(value[name], kind[name]) for name in kind)
    if isinstance(kind, list):
        return type(value) is list and all(type(one) is kind[0] for one in value)
    if isinstance(kind, tuple):
        return type(value) in kind
    return type(value) is kind


def test_what_it_knows():
    assert mini_corpus.known() == sorted(COLUMNS)


@pytest.mark.parametrize("lengths", ["short", "long"])
@pytest.mark.parametrize(("folder", "split"), ALL)
def test_columns_are_the_hubs(folder, split, lengths):
    for row in mini_corpus.rows(folder, split, 60, lengths=lengths):
        assert fits(row, COLUMNS[folder]), row


@pytest.mark.parametrize(("folder", "split"), ALL)
def test_fewer_rows_are_the_beginning_of_more(folder, split):
    assert mini_corpus.rows(folder, split, 250) == mini_corpus.rows(folder, split, 400)[:250]


@pytest.mark.parametrize(("folder", "split"), ALL)
def test_another_seed_gives_other_rows(folder, split):
    assert mini_corpus.rows(folder, split, 20, seed=1) != mini_corpus.rows(folder, split, 20, seed=2)


def digest():
    rows = [mini_corpus.rows(folder, split, 210, seed=3, lengths="long") for folder, split in ALL]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def test_another_process_makes_the_same_rows():
    code = "from tests.mini_corpus.test_rows import digest; print(digest())"
    env = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == digest()


def test_importing_the_world_is_cheap():
    code = "import sys, cme.mini_corpus; print([m for m in ('torch', 'pyarrow', 'numpy', 'transformers') if m in sys.modules])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("folder", "split", "least"),
    [(folder, split, 512) for folder, split in eval_splits()]
    + [("qqp", "train", 200_000), ("squad_v2", "train", 200_000), ("cnn_dailymail", "train", 200_000)]
    + [("anli", f"train_r{number}", 100_000) for number in (1, 2, 3)]
    + [("arc_easy", "train", 20_000), ("arc_challenge", "train", 20_000), ("nq_open", "train", 50_000)]
    + [("mnli", "train", 300_000), ("paws", "train", 50_000), ("rte", "train", 20_000), ("qnli", "train", 100_000)]
    + [("winogrande", "train", 40_000), ("commonsense_qa", "train", 20_000), ("sciq", "train", 20_000)]
    + [(folder, "train", 200_000) for folder in ("tldr", "imdb", "yelp_polarity", "emotion", "race")]
    + [("tweet_emotion", "train", 100_000), ("trivia_qa", "train", 50_000)]
    + [("gsm8k", "train", 20_000), ("aqua_rat", "train", 100_000), ("svamp", "train", 20_000)]
    + [("mmlu", "auxiliary_train", 100_000), ("medmcqa", "train", 150_000)],
)
def test_there_are_enough_rows(folder, split, least):
    assert mini_corpus.size(folder, split) >= least


@pytest.mark.parametrize(("folder", "split"), ALL)
def test_the_last_row_exists(folder, split):
    from cme.mini_corpus import plant
    from cme.mini_corpus.render import RENDERERS

    for index in range(mini_corpus.size(folder, split) - 60, mini_corpus.size(folder, split)):
        assert fits(plant.row(RENDERERS[folder], split, index, 0, long=False), COLUMNS[folder])


@pytest.mark.parametrize(("folder", "split"), ALL)
def test_more_rows_than_exist_is_an_error_that_names_the_number(folder, split):
    most = mini_corpus.size(folder, split)
    with pytest.raises(UsageError, match=rf"{most:,} rows of {folder}/{split}; {most + 1:,} were requested"):
        mini_corpus.rows(folder, split, most + 1)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'qqp'"):
        mini_corpus.rows("qqq", "train", 1)
    with pytest.raises(UsageError, match="Did you mean 'train_r"):
        mini_corpus.size("anli", "train")
    with pytest.raises(UsageError, match="lengths"):
        mini_corpus.rows("qqp", "train", 1, lengths="medium")
    with pytest.raises(UsageError, match="unknown dataset or folder of the mini corpus 'qpp'"):
        mini_corpus.planted("qpp", 1)


@pytest.mark.parametrize(("folder", "split"), [*train_splits(), *eval_splits()])
def test_identifiers_are_unique_and_shaped_like_the_hubs(folder, split):
    name = next((column for column in ("id", "idx", "uid", "question_id") if column in COLUMNS[folder]), None)
    if name is None:
        return
    ids = [row[name] for row in mini_corpus.rows(folder, split, 450)]
    assert len(set(ids)) == len(ids)
    digits = {"squad_v2": 24, "cnn_dailymail": 40, "commonsense_qa": 32}.get(folder)
    if digits:
        assert all(len(one) == digits and set(one) <= set(string.hexdigits.lower()) for one in ids)


def words(texts):
    counts = sorted(len(text.split()) for text in texts)
    return counts[len(counts) // 2]


def test_short_rows_train_in_minutes_and_long_ones_are_as_long_as_the_hubs():
    def column(folder, split, name, lengths):
        return [row[name] for row in mini_corpus.rows(folder, split, 100, lengths=lengths)]

    assert 5 <= words(column("qqp", "train", "question1", "short")) <= 12
    assert words(column("anli", "train_r1", "premise", "short")) <= 30
    assert words(column("squad_v2", "train", "context", "short")) <= 50
    assert words(column("cnn_dailymail", "train", "article", "short")) <= 110
    assert 40 <= words(column("anli", "train_r1", "premise", "long")) <= 70
    assert 85 <= words(column("squad_v2", "train", "context", "long")) <= 150
    assert all(250 <= len(text.split()) <= 750 for text in column("cnn_dailymail", "train", "article", "long"))
