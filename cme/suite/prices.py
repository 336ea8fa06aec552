"""The price of a row of each dataset: the tokens that a model reads for it.

The prices decide how many rows of each dataset a sequential evaluation adds (`cme.stats.sequential`). They are a fixed table, not
measured in each run, so that equal scores always give the same looks, with every base and engine.
"""

from statistics import fmean

__all__ = ["REASONING_ROW_TOKENS", "ROW_TOKENS", "row_tokens"]

ROW_TOKENS = {
    "cnn_dailymail": 524,
    "tldr": 387,
    "imdb": 287,
    "yelp_polarity": 197,
    "emotion": 63,
    "tweet_emotion": 61,
    "anli": 140,
    "mnli": 80,
    "mnli_mismatched": 80,
    "paws": 94,
    "qqp": 63,
    "qnli": 96,
    "rte": 104,
    "commonsense_qa": 63,
    "winogrande": 54,
    "arc": 79,
    "sciq": 168,
    "nq_open": 31,
    "trivia_qa": 40,
    "race": 428,
    "squad_v2": 223,
    "medmcqa": 73,
    "mmlu": 126,
}
"""Mean tokens of a row's prompt and all its options, or its first answer, without sharing between rows.

Measured with the tokenizer of SmolLM2 on up to 500 published rows of each dataset, in the format ``plain`` without examples. No
rows of MNLI's mismatched split were at hand; it has the price of the matched split.
"""


REASONING_ROW_TOKENS = {
    "aqua_rat": 110,
    "gsm8k": 182,
    "svamp": 73,
}
"""The same for CME-R, with a worked solution as the answer of GSM8K. They do not change the mean price of CME-22."""


def row_tokens(dataset: str) -> float:
    """Return the price of a row of a dataset. A dataset that is in no table has the mean price of CME-22."""
    return (ROW_TOKENS | REASONING_ROW_TOKENS).get(dataset, fmean(ROW_TOKENS.values()))
