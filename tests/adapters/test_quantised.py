"""CME's methods on a base with integer weights: an own layer on any machine, and bitsandbytes if it is installed."""

import pytest
import torch
from peft import get_peft_model
from torch import nn
from transformers import LlamaForCausalLM

from cme.adapters import load_adapter
from cme.errors import AdapterError
from tests.adapters.conftest import layers, logits, make_base, make_config, randomise
from tests.adapters.variants import OWN, ROUTED

own_methods = pytest.mark.parametrize("method", OWN)


class IntegerLinear(nn.Linear):
    """A linear layer with an integer weight, a scale for each row, and its own forward pass."""

    def __init__(self, plain):
        super().__init__(plain.in_features, plain.out_features, bias=False, device="meta")
        self.register_buffer("scale", plain.weight.detach().abs().amax(1, keepdim=True) / 127)
        self.weight = nn.Parameter((plain.weight.detach() / self.scale).round().to(torch.int8), requires_grad=False)

    def forward(self, x):
        return nn.functional.linear(x, (self.weight * self.scale).to(x.dtype))


def replaced(base, make):
    for layer in base.model.layers:
        for name in ("gate_proj", "up_proj", "down_proj"):
            setattr(layer.mlp, name, make(getattr(layer.mlp, name)))
    return base


def quantised():
    return replaced(make_base(), IntegerLinear)


def rounded():
    """Return the same model with the rounded weights as floating-point numbers."""

    def round_off(plain):
        small = IntegerLinear(plain)
        plain.weight.data = small.weight * small.scale
        return plain

    return replaced(make_base(), round_off)


@own_methods
def test_it_equals_the_adapter_on_the_same_weights_written_out(adapted, tokens, method):
    pair = [adapted(method, base=base).train() for base in (quantised(), rounded())]
    assert all(layer.base_layer.weight.dtype == torch.int8 for layer in layers(pair[0]))
    assert {weight.dtype for weight in pair[0].parameters() if weight.requires_grad} == {torch.float32}
    torch.testing.assert_close(logits(pair[0], tokens), logits(pair[1], tokens), rtol=0, atol=1e-5)
    for model in pair:
        model(input_ids=tokens, labels=tokens).loss.backward()
    exact = dict(pair[1].named_parameters())
    for name, weight in pair[0].named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(weight.grad, exact[name].grad, rtol=1e-4, atol=1e-6, msg=name)


@own_methods
def test_it_is_saved_and_loaded(adapted, tokens, tmp_path, method):
    model = adapted(method, base=quantised())
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(load_adapter(quantised(), tmp_path), tokens), logits(model, tokens))


def test_merging_into_integers_is_refused_and_changes_nothing(adapted, tokens):
    model = adapted("moslora", base=quantised())
    before = logits(model, tokens)
    for merge in (model.merge_adapter, model.merge_and_unload):
        with pytest.raises(AdapterError, match=r"PEFT cannot dequantise the base's weight \(torch\.int8\)"):
            merge()
    assert torch.equal(logits(model, tokens), before)


@pytest.mark.long
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("method", ["lora", *OWN])
def test_bitsandbytes(tmp_path, tokens, method, bits):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    from transformers import BitsAndBytesConfig

    make_base(hidden_size=64, intermediate_size=128).save_pretrained(tmp_path / "base")
    config = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8)

    def base():
        # Where there is no GPU, the package computes on the CPU.
        return LlamaForCausalLM.from_pretrained(tmp_path / "base", quantization_config=config, dtype=torch.bfloat16)

    plain = base().eval()
    tokens = tokens.to(plain.device)
    expected = logits(plain, tokens)
    model = get_peft_model(base(), make_config(method))
    assert torch.equal(logits(model.eval(), tokens), expected)
    randomise(model)
    own = logits(model, tokens)
    assert (own - expected).abs().max() > 0.3
    model.save_pretrained(tmp_path / "adapter")
    assert torch.equal(logits(load_adapter(base(), tmp_path / "adapter"), tokens), own)
    model.train()(input_ids=tokens, labels=tokens).loss.backward()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert trained and all(weight.dtype == torch.float32 and weight.grad.abs().sum() > 0 for weight in trained)
    if method in ROUTED:
        with pytest.raises(AdapterError, match="gates weigh the experts anew"):
            model.merge_adapter()
    elif method in OWN:
        with pytest.warns(UserWarning, match=f"merged into a quantised weight .bnb {bits}bit"):
            model.merge_adapter()
