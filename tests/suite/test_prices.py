"""The prices of rows."""

from statistics import fmean

import pytest

from cme.suite import datasets
from cme.suite.prices import REASONING_ROW_TOKENS, ROW_TOKENS, row_tokens
from cme.suite.suites import ALL


def test_every_dataset_has_a_price():
    assert list(ROW_TOKENS) == list(datasets(beside=True))
    assert set(REASONING_ROW_TOKENS) <= set(datasets("cme-r", beside=True))
    assert all(row_tokens(name) > 0 for name in datasets(ALL, beside=True))
    assert row_tokens("qqp") == 63
    assert min(ROW_TOKENS.values()) < row_tokens("a dataset of mine") < max(ROW_TOKENS.values())


@pytest.mark.long
def test_the_prices_are_those_of_real_rows(real_data):
    from cme.evaluation.task import load
    from cme.models.load import load_tokenizer, resolve_base

    tokenizer = load_tokenizer(resolve_base("smollm2-135m"))

    def tokens(text):
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    for name, spec in datasets().items():
        rows = load(cme_dataset=name, cme_source=str(real_data), cme_tier="standard", cme_allow_missing=True)["eval"]
        answers = rows["continuations"] if spec.kind == "choice" else [[f" {row[0]}"] for row in rows["answers"]]
        prices = [tokens(prompt) + sum(map(tokens, of)) for prompt, of in zip(rows["prompt"], answers, strict=True)]
        assert row_tokens(name) == pytest.approx(fmean(prices), abs=0.51)
