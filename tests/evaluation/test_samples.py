import pytest

from cme.errors import DataError
from cme.evaluation.samples import sample_row
from cme.records.samples import read_samples, write_samples
from cme.suite import dataset
from cme.suite.score import score_dataset


class WordTokenizer:
    """A tokenizer with one token per word, so that lengths are easy to count."""

    def encode(self, text, add_special_tokens):
        return text.split()


def row(name, text, tokenizer=None, **more):
    spec = dataset(name)
    doc = {"id": "i", "part": name, "cluster": "i", "cut": False}
    scores = dict.fromkeys(spec.metrics, 0.0)
    return sample_row({"doc": doc, "filtered_resps": [text], "cme_score": 0.0, **scores}, spec, tokenizer, **more)


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
    sample = row(name, text, WordTokenizer())
    assert (sample["truncated"], sample["empty"]) == (truncated, empty)


def test_without_the_tokenizer_it_is_unknown_whether_an_answer_was_truncated(tmp_path):
    short, ended = row("nq_open", " Paris"), row("nq_open", " Paris\nmore")
    assert (short["truncated"], ended["truncated"]) == (None, False)
    assert row("nq_open", " word" * 24, limited=False)["truncated"] is False, "a baseline has no token limit"
    samples = [short, ended | {"id": "j"}]
    write_samples(tmp_path / "samples.parquet", samples)
    assert [item["truncated"] for item in read_samples(tmp_path / "samples.parquet")] == [None, False]
    counts = score_dataset(samples, dataset("nq_open")).diagnostics
    assert counts == {"cut": 0, "empty": 0}
    assert score_dataset(samples[1:], dataset("nq_open")).diagnostics == {"truncated": 0, "cut": 0, "empty": 0}


def test_a_choice_is_never_truncated(tmp_path):
    doc = {"id": "i", "part": "qqp", "cluster": "i", "cut": False, "gold": 0}
    record = {"doc": doc, "filtered_resps": [(-1.0, True), (-2.0, False)], "acc": 1.0, "cme_score": 1.0}
    sample = sample_row(record, dataset("qqp"), None)
    assert sample["truncated"] is False
    with pytest.raises(DataError, match="truncated is empty"):
        write_samples(tmp_path / "samples.parquet", [sample | {"truncated": None}])
