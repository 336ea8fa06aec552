"""Properties of TeamLoRA only. Those of all methods are tested in test_matrix_*.py."""

import copy
from dataclasses import replace

import pytest
import torch

from cme.adapters.routed.gates import recorded_gates
from cme.adapters.teamlora import TeamLoraConfig, TeamLoraLinear
from tests.adapters.conftest import layers, logits, randomise


def test_the_interaction_starts_near_one(adapted):
    for layer in layers(adapted(trained=False)):
        interaction = layer.teamlora_M["default"]
        assert torch.equal(interaction.diagonal(), torch.ones(4))
        beside = interaction[~torch.eye(4, dtype=torch.bool)]
        assert beside.abs().max() <= 0.1 and beside.abs().max() > 0


def test_collaboration_is_a_matter_of_storage_only(adapted, tokens):
    """One shared A and k separate ones have the same initialisation, outputs and number of parameters."""
    shared, separate = adapted(trained=False), adapted(trained=False, collaboration=False)
    for one, other in zip(layers(shared), layers(separate), strict=True):
        assert one.teamlora_A["default"].shape == (12, one.in_features)
        assert other.teamlora_A["default"].shape == (4, 3, one.in_features)
        assert torch.equal(one.teamlora_A["default"], other.teamlora_A["default"].flatten(0, 1))
    randomise(shared), randomise(separate)
    torch.testing.assert_close(logits(shared, tokens), logits(separate, tokens), rtol=0, atol=0)
    assert shared.get_nb_trainable_parameters() == separate.get_nb_trainable_parameters()


@pytest.mark.parametrize("four", [{"gate_scale": "experts"}, {"gate_sum": "experts"}, {"gate_scale": 4}], ids=str)
def test_the_sum_of_gates_multiplies_what_the_adapter_adds(four):
    torch.manual_seed(0)
    layer = TeamLoraLinear(torch.nn.Linear(6, 5), "default", TeamLoraConfig(r=2, gate_sum=1, init_weights=False))
    scaled = copy.deepcopy(layer)
    scaled.plans["default"] = replace(scaled.plans["default"], scaling=TeamLoraConfig(r=2, **four).scaling)
    x = torch.randn(7, 6)
    torch.testing.assert_close(scaled(x) - layer.base_layer(x), 4 * (layer(x) - layer.base_layer(x)))


def test_a_router_cannot_have_less_than_no_hidden_units():
    with pytest.raises(ValueError, match="router_hidden must be at least 0"):
        TeamLoraConfig(router_hidden=-1)


def test_the_default_is_the_papers_formula_as_written():
    """Two tokens by hand: φ = (0.75, 0.25) and (0.5, 0.5), M = [[1, 0.2], [0, 1]], so ω = M φ = (0.8, 0.25), (0.6, 0.5).

    The sums 1.05 and 1.1 are not changed. With ``gate_sum: 1`` the gate weights are divided by them.
    """
    outputs = {}
    for total in (None, 1):
        layer = TeamLoraLinear(
            torch.nn.Linear(2, 1, bias=False), "default", TeamLoraConfig(r=1, lora_alpha=1, experts=2, gate_sum=total)
        )
        with torch.no_grad():
            layer.base_layer.weight.zero_()
            layer.teamlora_A["default"].copy_(torch.eye(2))
            layer.teamlora_B["default"].copy_(torch.tensor([[1.0, 10.0]]))
            layer.teamlora_S["default"].copy_(torch.tensor([[3.0, 1.0], [1.0, 1.0]]).log())
            layer.teamlora_M["default"].copy_(torch.tensor([[1.0, 0.2], [0.0, 1.0]]))
            outputs[total] = layer(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).flatten().tolist()
    # Token 1 has z = (1, 0), token 2 has z = (0, 1): ω_1 · 1 · 1 and ω_2 · 1 · 10.
    assert outputs[None] == pytest.approx([0.8, 5.0])
    assert outputs[1] == pytest.approx([0.8 / 1.05, 5.0 / 1.1])


def test_at_the_start_the_free_sum_is_near_one(adapted, tokens):
    model = adapted(trained=False)
    with torch.no_grad(), recorded_gates(model) as routed:
        model(input_ids=tokens)
        sums = torch.cat([layer.gates["default"].sum(-1).flatten() for layer in routed.values()])
    assert float((sums - 1).abs().max()) < 0.3 and float((sums - 1).abs().max()) > 0


def test_the_released_code_is_a_setting(adapted, tokens):
    """Gates (I + M')ᵀ φ divided by their sum, times k: CME's M is (I + M')ᵀ, and the released orientation is φ (I + M')."""
    model = adapted(gate_sum="experts")
    layer = layers(model)[0]
    released = layer.teamlora_M["default"].T - torch.eye(4)
    x = torch.randn(5, 24)
    phi = torch.softmax(x @ layer.teamlora_S["default"].T, -1)
    weights = phi @ (torch.eye(4) + released)
    weights = 4 * weights / weights.sum(-1, keepdim=True)
    z = (x @ layer.teamlora_A["default"].T).split(3, -1)
    ups = layer.teamlora_B["default"].split(3, 1)
    delta = sum(weights[:, i : i + 1] * (z[i] @ ups[i].T) for i in range(4)) * 6 / 3
    torch.testing.assert_close(layer(x) - layer.base_layer(x), delta, rtol=1e-4, atol=1e-5)
