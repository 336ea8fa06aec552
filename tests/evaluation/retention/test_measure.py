"""Divergence and loss of tiny models, against a softmax written out in NumPy."""

import math

import numpy as np
import pytest

from cme.errors import AdapterError
from cme.evaluation.retention.measure import batches, chosen_logprobs, divergences, losses, predictions


@pytest.fixture(scope="module")
def model(tiny_base):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_base).eval()


def log_softmax(logits):
    """Log-probabilities of one position, in float64."""
    logits = logits.astype(np.float64)
    shifted = logits - logits.max()
    return shifted - math.log(np.exp(shifted).sum())


def test_divergence_by_hand():
    import torch

    base, adapted = np.log([0.5, 0.3, 0.2]), np.log([0.25, 0.25, 0.5])
    # Σ p ln(p/q); adding a constant to all logits changes nothing.
    expected = 0.5 * math.log(2) + 0.3 * math.log(1.2) + 0.2 * math.log(0.4)
    logits = [torch.tensor(np.stack([item, base])[None], dtype=torch.float64) for item in (base + 3, adapted)]
    found = divergences(*logits)
    assert found.shape == (1, 2) and found[0, 0].item() == pytest.approx(expected) and found[0, 1].item() == 0.0


def test_an_excluded_token_of_the_base_counts_nothing_and_other_vocabularies_are_refused():
    import torch

    base, adapted = torch.tensor([[[0.0, 0.0, -math.inf]]]), torch.tensor([[[0.0, 0.0, 0.0]]])
    # The base never predicts the third token: 2 · ½ ln((1/2)/(1/3)).
    assert divergences(base, adapted).item() == pytest.approx(math.log(1.5))
    with pytest.raises(AdapterError, match="the base predicts 3 tokens and the adapted model 2"):
        divergences(base, adapted[..., :2])
    with pytest.raises(AdapterError, match="not finite"):
        divergences(adapted, adapted * math.nan)


def test_loss_shifts_the_labels(model):
    """Each token is predicted from the tokens before it; the first token is predicted from nothing and does not count."""
    import torch

    windows = [[5, 17, 200, 31, 9], [399, 0, 5, 17, 8], [1, 2, 3, 4, 5]]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor(windows)).logits.numpy()
    expected = [
        -np.mean([log_softmax(logits[k, at])[tokens[at + 1]] for at in range(4)]) for k, tokens in enumerate(windows)
    ]
    assert losses(model, windows) == pytest.approx(expected, abs=1e-6)
    # transformers computes the same from its labels.
    with torch.inference_mode():
        own = [model(input_ids=torch.tensor([w]), labels=torch.tensor([w])).loss.item() for w in windows]
    assert losses(model, windows) == pytest.approx(own, abs=1e-5)


def test_small_batches_and_chunks_give_the_same(model, monkeypatch):
    from cme.evaluation.retention import measure

    windows = [[(7 * k + at) % 400 for at in range(20)] for k in range(9)]
    whole = losses(model, windows)
    monkeypatch.setattr(measure, "_LOGITS", 20 * 400 * 2)
    monkeypatch.setattr(measure, "_CHUNK", 400 * 3)
    assert [len(ids) for ids in batches(model, windows)] == [2, 2, 2, 2, 1]
    assert losses(model, windows) == pytest.approx(whole, abs=1e-6)
    logits = [predictions(model, ids, 4) for ids in batches(model, windows)]
    assert logits[0].shape == (2, 16, 400)
    assert divergences(logits[0], logits[1]).shape == (2, 16)
    assert chosen_logprobs(logits[0], next(batches(model, windows))[:, 4:]).shape == (2, 16)
