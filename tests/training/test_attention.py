"""Attention of a training on a CPU: the form depends on the length, and the gradients are those of transformers."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from cme.training.attention import choose_attention


@pytest.fixture
def model(base):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)


def gradients(model, length, padding):
    """Return the gradients of a batch whose first example is padded on the left."""
    ids = torch.arange(2 * length).reshape(2, length) % 90 + 3
    mask = torch.ones_like(ids)
    mask[0, :padding] = 0
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=ids, attention_mask=mask).logits
    logits[:, -1].float().logsumexp(-1).sum().backward()
    return torch.cat([weight.grad.float().flatten() for weight in model.parameters() if weight.grad is not None])


def dtypes_of_kernel(monkeypatch):
    seen, plain = [], torch.nn.functional.scaled_dot_product_attention

    def recording(query, *others, **options):
        seen.append(query.dtype)
        return plain(query, *others, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", recording)
    return seen


@pytest.mark.parametrize("padding", [0, 5])
def test_short_batches_are_computed_in_float32_with_the_same_gradients(model, padding, monkeypatch):
    plain = gradients(model, 20, padding)
    choose_attention(model, 500)
    seen = dtypes_of_kernel(monkeypatch)
    own = gradients(model, 20, padding)
    assert seen and set(seen) == {torch.float32}
    assert torch.nn.functional.cosine_similarity(own, plain, dim=0) > 0.999


def test_long_batches_and_evaluations_stay_in_bfloat16(model, monkeypatch):
    choose_attention(model, 500)
    seen = dtypes_of_kernel(monkeypatch)
    gradients(model, 257, 0)
    assert seen and set(seen) == {torch.bfloat16}
    seen.clear()
    with torch.no_grad():
        model(input_ids=torch.arange(3, 23)[None])
    assert seen and set(seen) == {torch.bfloat16}


def test_examples_that_are_all_short_get_plain_attention(model, base):
    choose_attention(model, 192)
    assert model.config._attn_implementation == "eager"
    other = AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    choose_attention(other, 500)
    assert other.config._attn_implementation == "eager", "a model without the fused kernel keeps its own attention"
