"""What is TeamLoRA's own; what every method does is in the matrix (test_matrix_*.py)."""

import copy
from dataclasses import replace

import pytest
import torch

from cme.adapters.teamlora import TeamLoraConfig, TeamLoraLinear
from tests.adapters.conftest import layers, logits, randomise


def test_the_interaction_starts_near_one(adapted):
    for layer in layers(adapted(trained=False)):
        interaction = layer.teamlora_M["default"]
        assert torch.equal(interaction.diagonal(), torch.ones(4))
        beside = interaction[~torch.eye(4, dtype=torch.bool)]
        assert beside.abs().max() <= 0.1 and beside.abs().max() > 0


def test_collaboration_is_a_matter_of_storage_only(adapted, tokens):
    """One shared A that is split, and k separate ones: same start, same function, same number of parameters."""
    shared, separate = adapted(trained=False), adapted(trained=False, collaboration=False)
    for one, other in zip(layers(shared), layers(separate), strict=True):
        assert one.teamlora_A["default"].shape == (12, one.in_features)
        assert other.teamlora_A["default"].shape == (4, 3, one.in_features)
        assert torch.equal(one.teamlora_A["default"], other.teamlora_A["default"].flatten(0, 1))
    randomise(shared), randomise(separate)
    torch.testing.assert_close(logits(shared, tokens), logits(separate, tokens), rtol=0, atol=0)
    assert shared.get_nb_trainable_parameters() == separate.get_nb_trainable_parameters()


def test_gate_scale_multiplies_what_the_adapter_adds():
    torch.manual_seed(0)
    layer = TeamLoraLinear(torch.nn.Linear(6, 5), "default", TeamLoraConfig(r=2, init_weights=False))
    scaled = copy.deepcopy(layer)
    scaled.plans["default"] = replace(
        scaled.plans["default"], scaling=TeamLoraConfig(r=2, gate_scale="experts").scaling
    )
    x = torch.randn(7, 6)
    torch.testing.assert_close(scaled(x) - layer.base_layer(x), 4 * (layer(x) - layer.base_layer(x)))


def test_a_router_cannot_have_less_than_no_hidden_units():
    with pytest.raises(ValueError, match="router_hidden must be at least 0"):
        TeamLoraConfig(router_hidden=-1)
