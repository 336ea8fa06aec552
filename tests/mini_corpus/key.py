"""The key text of a row, as the mix compares rows: lower-case, without punctuation, spaces squeezed."""

import string

from cme import mini_corpus
from cme.mini_corpus.render import RENDERERS

_DROP = str.maketrans("", "", string.punctuation)

OPTIONS = {
    "arc_easy": lambda row: row["choices"]["text"],
    "arc_challenge": lambda row: row["choices"]["text"],
    "commonsense_qa": lambda row: row["choices"]["text"],
    "winogrande": lambda row: [row["option1"], row["option2"]],
    "sciq": lambda row: [row["correct_answer"], *(row[f"distractor{number}"] for number in (1, 2, 3))],
    "mmlu": lambda row: row["choices"],
    "medmcqa": lambda row: [row[f"op{letter}"] for letter in "abcd"],
    "aqua_rat": lambda row: [option[2:] for option in row["options"]],
}
"""Part folder → the options of a row; without sciq's, in the order of the letters."""


def normal(text):
    return " ".join(text.lower().translate(_DROP).split())


def texts(folder, row):
    if folder == "qqp":
        return sorted([row["question1"], row["question2"]])
    if folder == "paws":
        return sorted([row["sentence1"], row["sentence2"]])
    if folder in ("anli", "mnli"):
        return [row["premise"], row["hypothesis"]]
    if folder in OPTIONS:
        return [row["sentence" if folder == "winogrande" else "question"], *sorted(OPTIONS[folder](row))]
    return {
        "nq_open": lambda: [row["question"]],
        "gsm8k": lambda: [row["question"]],
        "humaneval": lambda: [row["prompt"]],
        "mbpp": lambda: [row["text"]],
        "svamp": lambda: [f"{row['Body']} {row['Question']}"],
        "rte": lambda: [row["sentence1"], row["sentence2"]],
        "qnli": lambda: [row["question"], row["sentence"]],
        "squad_v2": lambda: [row["context"], row["question"]],
        "cnn_dailymail": lambda: [row["article"]],
        "tldr": lambda: [row["prompt"]],
        **dict.fromkeys(("imdb", "yelp_polarity", "emotion", "tweet_emotion"), lambda: [row["text"]]),
        "trivia_qa": lambda: [row["question"]],
        "race": lambda: [row["article"], row["question"], *row["options"]],
    }[folder]()


def key(folder, row):
    found = [normal(text) for text in texts(folder, row)]
    return tuple(sorted(found) if folder in ("qqp", "paws", *OPTIONS) else found)


def train_splits():
    return [
        (folder, split)
        for folder in mini_corpus.known()
        for split in RENDERERS[folder].sizes
        if RENDERERS[folder].training(split)
    ]


def eval_splits(folder=None):
    folders = [folder] if folder else mini_corpus.known()
    return [(name, split) for name in folders for split in RENDERERS[name].sizes if not RENDERERS[name].training(split)]


ALL = train_splits() + eval_splits()
