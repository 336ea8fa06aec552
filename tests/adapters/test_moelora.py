"""MoELoRA is TeamLoRA without competition.

The stacked A matrices of MoELoRA's experts are TeamLoRA's shared A. Every routed method can therefore use two products.
"""

import pytest
import torch

from tests.adapters.conftest import layers, logits

either_storage = pytest.mark.parametrize("collaboration", [True, False])


@pytest.fixture
def pair(adapted):
    """Create MoELoRA, and TeamLoRA without competition, from the same seed."""

    def make(collaboration, **fields):
        ablated = {"competition": False, "collaboration": collaboration}
        return adapted("moelora", **fields), adapted("teamlora", **ablated, **fields)

    return make


def give(model, other):
    """Copy MoELoRA's parameters to TeamLoRA."""
    with torch.no_grad():
        for one, two in zip(layers(model), layers(other), strict=True):
            for mine, its in (("moelora_A", "teamlora_A"), ("moelora_B", "teamlora_B"), ("moelora_W", "teamlora_S")):
                target = getattr(two, its)["default"]
                target.copy_(getattr(one, mine)["default"].view(target.shape))


@either_storage
def test_the_same_seed_gives_the_same_start(pair, tokens, collaboration):
    moe, team = pair(collaboration, trained=False, init_weights=False)
    assert torch.equal(logits(moe, tokens), logits(team, tokens))
    assert moe.get_nb_trainable_parameters() == team.get_nb_trainable_parameters()


@either_storage
def test_the_same_numbers_give_the_same_outputs_and_gradients(pair, tokens, collaboration):
    moe, team = pair(collaboration)
    give(moe, team)
    assert torch.equal(logits(moe, tokens), logits(team, tokens))
    for model in (moe, team):
        model.train()(input_ids=tokens, labels=tokens).loss.backward()
    for one, two in zip(layers(moe), layers(team), strict=True):
        for mine, its in (("moelora_A", "teamlora_A"), ("moelora_B", "teamlora_B"), ("moelora_W", "teamlora_S")):
            grad = getattr(one, mine)["default"].grad
            assert grad.any()
            assert torch.equal(grad, getattr(two, its)["default"].grad.view(grad.shape))


def test_competition_is_what_makes_the_difference(pair, adapted, tokens):
    moe, team = adapted("moelora", trained=False, init_weights=False), adapted(trained=False, init_weights=False)
    give(moe, team)
    assert not torch.allclose(logits(moe, tokens), logits(team, tokens), atol=1e-4)
    with torch.no_grad():
        for layer in layers(team):
            layer.teamlora_M["default"].copy_(torch.eye(4))
    torch.testing.assert_close(logits(moe, tokens), logits(team, tokens), rtol=0, atol=1e-5)
