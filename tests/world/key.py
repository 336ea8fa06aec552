"""The key text of a row, as the mix compares rows: lower-case, without punctuation, spaces squeezed."""

import string

from cme import world
from cme.world.render import PARTS

_DROP = str.maketrans("", "", string.punctuation)


def normal(text):
    return " ".join(text.lower().translate(_DROP).split())


def texts(folder, row):
    if folder == "qqp":
        return sorted([row["question1"], row["question2"]])
    if folder == "anli":
        return [row["premise"], row["hypothesis"]]
    if folder.startswith("arc"):
        return [row["question"], *sorted(row["choices"]["text"])]
    return {
        "nq_open": lambda: [row["question"]],
        "squad_v2": lambda: [row["context"], row["question"]],
        "cnn_dailymail": lambda: [row["article"]],
    }[folder]()


def key(folder, row):
    found = [normal(text) for text in texts(folder, row)]
    return tuple(sorted(found) if folder == "qqp" or folder.startswith("arc") else found)


def train_splits():
    return [(folder, split) for folder in world.known() for split in PARTS[folder].sizes if split.startswith("train")]


def eval_splits(folder=None):
    folders = [folder] if folder else world.known()
    return [(name, split) for name in folders for split in PARTS[name].sizes if not split.startswith("train")]


ALL = train_splits() + eval_splits()
