"""lm-eval's own code gives bitwise identical answers if its batches are computed separately."""

import pytest
from lm_eval.models.huggingface import HFLM

from cme.evaluation.engine.plain import PlainLM
from tests.evaluation.engine.lab import choices, texts, tiny_model
from tests.evaluation.engine.test_choice import CASES, rows
from tests.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def pair():
    """Make lm-eval's own model and CME's."""
    model = tiny_model()
    stock = HFLM(pretrained=model, tokenizer=tiny_tokenizer(), batch_size=3)
    return stock, PlainLM(model, tiny_tokenizer(), batch_size=3)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("case", ["letters", "several lengths"])
def test_choices(pair, case, shared, monkeypatch):
    for lm in pair:
        monkeypatch.setattr(lm, "logits_cache", shared)
    stock, ours = (lm.loglikelihood(choices(*CASES[case])) for lm in pair)
    assert ours == stock


def test_texts_of_several_settings(pair):
    requests = [
        request
        for two in zip(texts(rows(count=7)), texts(rows(count=7), max_gen_toks=3), strict=True)
        for request in two
    ]
    stock, ours = (lm.generate_until(requests) for lm in pair)
    assert ours == stock
