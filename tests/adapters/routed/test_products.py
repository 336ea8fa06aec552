"""The products of the routed methods, compared with hand calculations and with the loop over experts."""

import pytest
import torch

from cme.adapters.routed.products import add_routed, competitive_gates, project, softmax_gates
from tests.adapters.oracle import team_gates


def test_gates_by_hand():
    # φ = (1/4, 3/4); Mφ = (1/4 + 0.2·3/4, -0.4·1/4 + 3/4) = (0.40, 0.65); divided by 1.05.
    logits = torch.tensor([[1.0, 3.0]]).log()
    interaction = torch.tensor([[1.0, 0.2], [-0.4, 1.0]])
    assert softmax_gates(logits)[0].tolist() == pytest.approx([0.25, 0.75])
    assert competitive_gates(logits, interaction)[0].tolist() == pytest.approx([0.40 / 1.05, 0.65 / 1.05])


def test_gates_may_be_negative_and_are_not_clipped():
    # φ = (1/2, 1/2); Mφ = (0.6, -0.1); divided by 0.5.
    interaction = torch.tensor([[1.0, 0.2], [-0.4, 0.2]])
    gates = competitive_gates(torch.zeros(1, 2), interaction)[0]
    assert gates.tolist() == pytest.approx([1.2, -0.2])


@pytest.mark.parametrize("total", [0.0, 1e-7, -1e-7, 1e-30])
def test_a_sum_near_zero_gives_finite_gates_and_gradients(total):
    interaction = torch.tensor([[1.0, 1.0], [-1.0, -1.0 + 2 * total]], requires_grad=True)
    logits = torch.zeros(3, 2, requires_grad=True)
    gates = competitive_gates(logits, interaction)
    gates.square().sum().backward()
    assert gates.isfinite().all() and logits.grad.isfinite().all() and interaction.grad.isfinite().all()
    assert gates.abs().max() <= 5001


@pytest.mark.parametrize("total", [0.5, 0.02, -0.02, -0.5])
def test_away_from_zero_the_guard_changes_nothing(total):
    interaction = torch.tensor([[1.0, 0.0], [0.0, -1.0 + 2 * total]])
    gates = competitive_gates(torch.zeros(1, 2), interaction)[0]
    assert gates.tolist() == pytest.approx([0.5 / total, (-0.5 + total) / total], rel=1e-4)
    assert float(gates.sum()) == pytest.approx(1, rel=1e-4)


def test_gates_are_computed_in_float32_whatever_the_type():
    logits = torch.tensor([[8.0, 7.9]], dtype=torch.bfloat16)
    interaction = torch.eye(2, dtype=torch.bfloat16)
    for gates in (softmax_gates(logits), competitive_gates(logits, interaction)):
        assert gates.dtype == torch.float32
        torch.testing.assert_close(gates, team_gates(logits.float(), None))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        # bfloat16 would round the product with M to three digits.
        exact = team_gates(torch.tensor([[0.3, 0.1]]), torch.tensor([[1.0, 0.013], [0.017, 1.0]]))
        gates = competitive_gates(torch.tensor([[0.3, 0.1]]), torch.tensor([[1.0, 0.013], [0.017, 1.0]]))
        torch.testing.assert_close(gates, exact)


@pytest.mark.parametrize("rows", [1, 50])
def test_the_router_may_ride_in_the_product_of_a(rows):
    x, down, router = torch.randn(2, rows, 7), torch.randn(6, 7), torch.randn(3, 7)
    hidden, routed = project(x, x, down, router)
    torch.testing.assert_close(hidden, x @ down.T)
    torch.testing.assert_close(routed, x @ router.T)


def test_one_block_of_hidden_values_per_expert():
    base, hidden, gates, up = torch.randn(2, 5, 11), torch.randn(2, 5, 6), torch.randn(2, 5, 3), torch.randn(11, 6)
    expected = base + 0.7 * sum(
        gates[..., i : i + 1] * (hidden[..., 2 * i : 2 * i + 2] @ up[:, 2 * i : 2 * i + 2].T) for i in range(3)
    )
    torch.testing.assert_close(add_routed(base, hidden, gates, up, 0.7), expected)


def test_one_shared_block_is_hydralora():
    base, hidden, gates, up = torch.randn(4, 11), torch.randn(4, 2), torch.randn(4, 3), torch.randn(11, 6)
    expected = base + 0.7 * sum(gates[:, i : i + 1] * (hidden @ up[:, 2 * i : 2 * i + 2].T) for i in range(3))
    torch.testing.assert_close(add_routed(base, hidden, gates, up, 0.7), expected)


def test_no_tokens_are_no_trouble():
    # A mixture-of-experts base may send a layer nothing.
    assert add_routed(torch.zeros(0, 11), torch.zeros(0, 6), torch.zeros(0, 3), torch.zeros(11, 6), 1.0).shape == (
        0,
        11,
    )
