"""Gates recorded without changing the forward pass, and their means."""

import pytest
import torch

from cme.adapters.routed.gates import mean_gates, recorded_gates
from tests.adapters.conftest import layers, logits
from tests.adapters.oracle import LoopLayer
from tests.adapters.variants import routed_variants


@routed_variants
def test_recording_changes_nothing_and_gives_the_gates(adapted, tokens, method, fields):
    model = adapted(method, **fields)
    before = logits(model, tokens)
    experts = model.peft_config["default"].experts
    with recorded_gates(model) as routed:
        assert torch.equal(logits(model, tokens), before)
        for layer in routed.values():
            gates = layer.gates["default"]
            assert gates.shape == (2, 9, experts) and gates.dtype == torch.float32
            config = model.peft_config["default"]
            if config.gate_sum != "free" or not config.competition:
                torch.testing.assert_close(gates.sum(-1), torch.ones(2, 9), rtol=1e-3, atol=1e-3)
        layer, x = routed["model.layers.0.mlp.up_proj"], torch.randn(3, 5, 24)
        layer(x)
        torch.testing.assert_close(layer.gates["default"], LoopLayer(layer).gates(x), rtol=1e-4, atol=1e-5)
    assert list(routed.values()) == layers(model)
    assert not any(layer.gates or layer.record_gates for layer in routed.values())


def test_nothing_is_kept_unless_asked_for_and_an_error_lets_go(adapted, tokens):
    model = adapted()
    logits(model, tokens)
    assert not any(layer.gates for layer in layers(model))
    with pytest.raises(KeyError), recorded_gates(model):
        logits(model, tokens)
        raise KeyError
    assert not any(layer.gates or layer.record_gates for layer in layers(model))


def test_means_leave_padding_out(adapted, tokens):
    model = adapted("moelora")
    padded = torch.cat((torch.zeros(2, 4, dtype=torch.long), tokens), dim=1)
    mask = (padded != 0).long()
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with recorded_gates(model) as routed:
        logits(model, tokens)
        expected = {name: layer.gates["default"].mean((0, 1)) for name, layer in routed.items()}
        logits(model, padded, attention_mask=mask, position_ids=positions)
        means = mean_gates(routed, mask)
        assert not torch.allclose(mean_gates(routed)["model.layers.0.mlp.up_proj"], means["model.layers.0.mlp.up_proj"])
    assert len(means) == 6
    for name, mean in means.items():
        torch.testing.assert_close(mean, expected[name], rtol=0, atol=1e-5)
        assert mean.shape == (4,) and not mean.requires_grad


def test_means_are_of_the_adapter_asked_for(adapted, tokens):
    model = adapted("hydralora")
    with recorded_gates(model) as routed:
        logits(model, tokens)
        assert mean_gates(routed, adapter_name="other") == {} and len(mean_gates(routed)) == 6


def test_the_record_of_a_training_step_has_its_graph(adapted, tokens):
    model = adapted("teamlora").train()
    with recorded_gates(model) as routed:
        model(input_ids=tokens)
        assert all(layer.gates["default"].requires_grad for layer in routed.values())
        assert not any(mean.requires_grad for mean in mean_gates(routed).values())
