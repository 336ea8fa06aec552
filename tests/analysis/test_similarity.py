"""Similarity of experts against computations that form the updates."""

import math

import pytest
import torch

from cme.adapters.routed.gates import routed_layers
from cme.analysis.markdown import _similarity
from cme.analysis.similarity import (
    delta_products,
    expert_matrices,
    matrix_figures,
    overlap,
    similarity_analysis,
    singular_values,
)
from tests.adapters.conftest import adapted  # noqa: F401 (a fixture)
from tests.adapters.oracle import LoopLayer
from tests.adapters.variants import routed_variants

K, R, D, M = 3, 2, 11, 7


@pytest.fixture
def experts():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(K, R, D), draw(K, M, R)


def test_inner_products_are_those_of_the_updates(experts):
    down, up = experts
    updates = (up @ down).flatten(1)
    torch.testing.assert_close(delta_products(down, up), updates @ updates.T)


def test_singular_values_are_those_of_the_update(experts):
    down, up = experts
    torch.testing.assert_close(singular_values(down[0], up[0]), torch.linalg.svdvals(up[0] @ down[0])[:R])


def test_overlap_is_1_for_one_space_and_0_for_orthogonal_ones():
    axes = torch.eye(6, dtype=torch.float64)
    turned = axes[:, :2] @ torch.tensor([[2.0, 1.0], [0.0, -3.0]], dtype=torch.float64)
    assert overlap(axes[:, :2], turned) == pytest.approx(1)
    assert overlap(axes[:, :2], axes[:, 2:4]) == pytest.approx(0)
    assert overlap(axes[:, :2], axes[:, 1:3]) == pytest.approx(0.5)
    angle = 0.3
    tilted = axes[:, :1] * math.cos(angle) + axes[:, 1:2] * math.sin(angle)
    assert overlap(axes[:, :1], tilted) == pytest.approx(math.cos(angle) ** 2)


def test_overlap_of_random_spaces_is_that_of_chance():
    generator = torch.Generator().manual_seed(1)
    values = [
        overlap(*(torch.randn(40, 4, generator=generator, dtype=torch.float64) for _ in "ab")) for _ in range(200)
    ]
    assert sum(values) / 200 == pytest.approx(4 / 40, abs=0.01)


@routed_variants
@torch.no_grad()
def test_layers_of_every_method_agree_with_formed_updates(adapted, method, fields):  # noqa: F811
    if fields.get("experts") == 1:
        return
    model = adapted(method, **fields)
    layer = next(module for module in model.modules() if hasattr(module, "record_gates"))
    found = similarity_analysis(model).layers[0]
    experts = LoopLayer(layer).experts
    k, (rows, rank) = len(experts), experts[0][1].shape
    updates = [(up @ down).double().flatten() for down, up in experts]
    cosines = [float(torch.cosine_similarity(updates[i], updates[j], dim=0)) for i in range(k) for j in range(i)]
    assert found.cosine == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)
    assert found.cosine_largest == pytest.approx(max(cosines), abs=1e-5)
    assert found.norms == pytest.approx([float(update.norm()) for update in updates], rel=1e-5)
    assert (found.down is None) == (method in ("hydralora", "comol"))
    assert (
        found.stable_rank * (1 + 1e-9) >= 1
        and found.stable_rank <= rank * (1 + 1e-9)
        and found.up_chance == rank / rows
    )


def test_the_outputs_of_single_experts_are_those_of_the_matrices(adapted):  # noqa: F811
    """The matrices of an expert are what the layer computes if the others are masked and its gate weight is divided out."""
    from cme.adapters.routed.gates import recorded_gates
    from cme.adapters.routed.masks import masked_experts
    from cme.analysis.similarity import expert_matrices

    model = adapted()
    with recorded_gates(model) as layers:
        layer = next(iter(layers.values()))
        down, up = expert_matrices(layer)
        x = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(2))
        with masked_experts(model, [1]), torch.no_grad():
            own = layer(x) - layer.base_layer(x)
        gates = layer.gates["default"]
    scaled = own.double() / gates[:, 1:2].double() / layer.plans["default"].scaling
    torch.testing.assert_close(scaled, x.double() @ (up[1] @ down[1]).T, rtol=1e-3, atol=1e-4)


def test_the_start_of_m_is_recognised():
    generator = torch.Generator().manual_seed(3)
    start = torch.rand(200, 200, generator=generator) * 0.2 - 0.1
    start.fill_diagonal_(1.0)
    found = matrix_figures("x", start)
    assert (found.diagonal, found.moved, found.outside) == (1, 0, 0)
    assert found.spread == pytest.approx(0.1 / 3**0.5, abs=1e-3) and found.positive == pytest.approx(0.5, abs=0.02)
    moved = matrix_figures("x", torch.tensor([[1.5, -0.3], [0.05, 0.5]]))
    assert (moved.diagonal, moved.moved, moved.outside, moved.positive) == pytest.approx((1, 0.5, 0.5, 0.5))
    assert moved.matrix[0] == pytest.approx((1.5, -0.3))


@torch.no_grad()
def test_experts_that_were_never_trained_are_in_no_mean(adapted):  # noqa: F811
    model = adapted("moelora")
    whole = similarity_analysis(model)
    assert whole.untrained is None and "untrained" not in whole.plain()
    layers = list(routed_layers(model).items())
    (first, one), (second, other) = layers[:2]
    for layer, experts in ((one, (1,)), (other, (0, 2, 3))):
        up = layer.moelora_B["default"]
        for expert in experts:
            up[:, expert * 3 : (expert + 1) * 3] = 0
    found = similarity_analysis(model)
    assert found.untrained == {first: 1, second: 3}
    assert [item.layer for item in found.layers] == [path for path, _ in layers if path != second]
    down, up = expert_matrices(one)
    kept = [0, 2, 3]
    pairs = [(i, j) for i in kept for j in kept if i < j]
    own = found.layers[0]
    assert own.up == pytest.approx(sum(overlap(up[i], up[j]) for i, j in pairs) / 3)
    assert own.down == pytest.approx(sum(overlap(down[i].T, down[j].T) for i, j in pairs) / 3)
    assert own.norms[1] == 0 and all(own.norms[expert] > 0 for expert in kept)
    assert found.layers[1:] == whole.layers[2:]
    text = "\n".join(_similarity(found))
    assert "4 experts in 2 layers were never trained" in text and f"Mean over {len(layers) - 1} layers" in text
    for layer in routed_layers(model).values():
        layer.moelora_B["default"].zero_()
    assert "No layer has two trained experts." in "\n".join(_similarity(similarity_analysis(model)))
