"""The balance term and gradient checkpointing."""

import pytest
import torch

from cme.adapters.routed.balance import balance_term
from cme.adapters.teamlora import TeamLoraLinear
from cme.errors import UsageError
from tests.adapters.conftest import make_base
from tests.adapters.variants import ROUTED


def test_the_balance_term_by_hand():
    # Means (0.75, 0.25): ((0.75 - 0.5)² + (0.25 - 0.5)²) / 2 = 0.0625; the second layer is balanced: mean 0.03125.
    uneven = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    even = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert float(balance_term([(uneven, None)])) == pytest.approx(0.0625)
    assert float(balance_term([(uneven, None), (even, None)])) == pytest.approx(0.03125)


def test_padding_does_not_count():
    gates = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    assert float(balance_term([(gates, torch.tensor([[0, 1, 1]]))])) == pytest.approx(0.25)
    assert float(balance_term([(gates, torch.tensor([[1, 1, 0]]))])) == pytest.approx(0.0)
    assert float(balance_term([(gates, torch.zeros(1, 3))])) == pytest.approx(0.25)


def test_the_switch_form_by_hand():
    """k Σ fᵢ Pᵢ: f is the share of the choices, P the mean of the softmax. Uniform routing gives 1."""
    gates = torch.tensor([[[0.5, 0.3, 0.2], [0.6, 0.1, 0.3], [0.2, 0.7, 0.1], [0.0, 0.0, 1.0]]], requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 0]])
    # Without a selection, f counts the largest: (2/3, 1/3, 0). P = (1.3, 1.1, 0.6) / 3.
    plain = balance_term([(gates, mask)], "switch")
    assert plain.item() == pytest.approx(3 * (2 / 3 * 1.3 + 1 / 3 * 1.1) / 3)
    # The two largest of each token: 2, 2 and 1 of 6 choices, so f sums to 1.
    chosen = torch.tensor([[[1.0, 1, 0], [1, 0, 1], [1, 1, 0], [0, 1, 1]]])
    two = balance_term([(gates, mask)], "switch", [chosen])
    assert two.item() == pytest.approx(3 * (3 / 6 * 1.3 + 2 / 6 * 1.1 + 1 / 6 * 0.6) / 3)
    two.backward()
    assert gates.grad[0, 0].tolist() == pytest.approx([3 * f / 3 for f in (3 / 6, 2 / 6, 1 / 6)])
    assert not gates.grad[0, 3].any()
    even = torch.full((1, 6, 3), 1 / 3)
    assert float(balance_term([(even, None)], "switch")) == pytest.approx(1)


def losses(adapted, tokens, weight, fields=None, **kwargs):
    model = adapted(balance_weight=weight, **(fields or {})).train()
    return model, model(input_ids=tokens, labels=tokens, **kwargs)


def test_the_term_is_added_to_the_loss_in_training_only(adapted, tokens):
    _, plain = losses(adapted, tokens, 0.0)
    model, doubled = losses(adapted, tokens, 2.0)
    _, added = losses(adapted, tokens, 1.0)
    extra = float(added.loss.detach() - plain.loss.detach())
    assert extra > 0
    assert float(doubled.loss.detach() - plain.loss.detach()) == pytest.approx(2 * extra, rel=1e-3)
    assert type(added) is type(plain)
    model.eval()
    assert float(model(input_ids=tokens, labels=tokens).loss.detach()) == pytest.approx(float(plain.loss.detach()))


@pytest.mark.parametrize(
    "fields", [{"gate_sum": 1}, {"gate_sum": "free"}, {"balance_form": "released"}, {"balance_form": "switch"}], ids=str
)
def test_the_term_is_the_one_of_the_recorded_gates(adapted, tokens, fields):
    mask = torch.ones_like(tokens)
    mask[0, :3] = 0
    _, plain = losses(adapted, tokens, 0.0, fields, attention_mask=mask)
    model, added = losses(adapted, tokens, 1.0, fields, attention_mask=mask)
    layers = [module for module in model.modules() if isinstance(module, TeamLoraLinear)]
    for layer in layers:
        assert layer.gates == {} and not layer.record_gates
        layer.record_gates = True
    with torch.no_grad():
        model(input_ids=tokens, attention_mask=mask)
    form = fields.get("balance_form", "centred")
    expected = float(balance_term([(layer.balanced_gates["default"], mask) for layer in layers], form))
    assert all(
        torch.equal(layer.gates["default"], layer.balanced_gates["default"])
        == ("gate_sum" in fields and fields["gate_sum"] == 1)
        for layer in layers
    )
    assert float(added.loss.detach() - plain.loss.detach()) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("gate_sum", "moved"), [(1, "SM"), ("free", "S")])
def test_the_term_alone_moves_the_router(adapted, tokens, gate_sum, moved):
    """It also moves the interaction matrix, unless the term uses the gate weights before the competition."""
    plain_model, plain = losses(adapted, tokens, 0.0, {"gate_sum": gate_sum})
    model, added = losses(adapted, tokens, 1.0, {"gate_sum": gate_sum})
    plain.loss.backward(), added.loss.backward()
    before = dict(plain_model.named_parameters())
    for name, weight in model.named_parameters():
        # Of the last layer: a term there also reaches M of the layers before it, through their output.
        if "layers.1.mlp.down_proj.teamlora_S" in name or "layers.1.mlp.down_proj.teamlora_M" in name:
            same = torch.allclose(weight.grad, before[name].grad)
            assert same != (name.split("teamlora_")[1][0] in moved), name


def test_accumulated_steps_count_the_term_once(adapted, tokens):
    """Two rows in one batch, or in two passes with the step's number of tokens, have the same total loss."""
    count = torch.tensor(2 * 8)
    parts = [float(losses(adapted, tokens[i : i + 1], 5.0, num_items_in_batch=count)[1].loss.detach()) for i in (0, 1)]
    plain = [float(losses(adapted, tokens[i : i + 1], 0.0, num_items_in_batch=count)[1].loss.detach()) for i in (0, 1)]
    terms = [
        float(losses(adapted, tokens[i : i + 1], 5.0)[1].loss.detach())
        - float(losses(adapted, tokens[i : i + 1], 0.0)[1].loss.detach())
        for i in (0, 1)
    ]
    assert sum(parts) - sum(plain) == pytest.approx(sum(terms) / 2, rel=1e-3)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_gradient_checkpointing_gives_the_same_gradients(adapted, tokens, weight):
    grads = []
    for checkpointing in (False, True):
        model = adapted(balance_weight=weight).train()
        if checkpointing:
            model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        model(input_ids=tokens, labels=tokens).loss.backward()
        grads.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-4, atol=1e-6, msg=name)
    assert all(not module.gates for module in model.modules() if isinstance(module, TeamLoraLinear))


@pytest.mark.parametrize("method", ROUTED)
def test_reentrant_checkpointing_is_refused(adapted, tokens, method):
    base = make_base()
    base.activation_checkpointing_enable({"use_reentrant": True})
    model = adapted(method, base=base).train()
    with pytest.raises(UsageError, match='use_reentrant": False'):
        model(input_ids=tokens, labels=tokens)
    model.eval()(input_ids=tokens, labels=tokens)
