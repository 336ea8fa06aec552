import pytest

from cme.evaluation.samples import sample_row
from cme.suite import dataset


class WordTokenizer:
    """A tokenizer with one token per word, so that lengths are easy to count."""

    def encode(self, text, add_special_tokens):
        return text.split()


def row(name, text):
    spec = dataset(name)
    doc = {"id": "i", "part": name, "cluster": "i", "cut": False}
    scores = dict.fromkeys(spec.metrics, 0.0)
    return sample_row({"doc": doc, "filtered_resps": [text], "cme_score": 0.0, **scores}, spec, WordTokenizer())


@pytest.mark.parametrize(
    ("name", "text", "truncated", "empty"),
    [
        ("nq_open", " Paris", False, False),
        ("nq_open", " word" * 24, True, False),
        ("nq_open", " Paris\n" + "more " * 30, False, False),  # the answer had ended before the limit
        ("nq_open", "\n\n Paris", False, False),
        ("nq_open", " \n\n ", False, True),
        ("cnn_dailymail", "one line\nanother" + " word" * 130, True, False),
        ("cnn_dailymail", "summary\n\n" + "word " * 130, False, False),
        ("gsm8k", "step " * 400 + "\n#### 18", True, False),  # it can still become 180
        ("gsm8k", "step " * 400 + "\n#### 18\n", False, False),
        ("gsm8k", "#### 1. Eggs\n" + "step " * 400, True, False),
        ("gsm8k", "I do not know.", False, True),
    ],
)
def test_truncated_means_that_the_answer_did_not_end(name, text, truncated, empty):
    sample = row(name, text)
    assert (sample["truncated"], sample["empty"]) == (truncated, empty)
