"""The plain LoRA of constant gate weights, for every routed method."""

import pytest
import torch

from cme.adapters.routed.gates import routed_layers
from cme.errors import UsageError
from cme.export.matrices import constant_gates, gated_down, read_matrices
from tests.adapters.conftest import layers
from tests.adapters.variants import routed_variants


@routed_variants
def test_constant_gate_weights_are_exactly_a_plain_lora(adapted, method, fields):
    model = adapted(method, **fields)
    draw = torch.Generator().manual_seed(7)
    for path, layer in routed_layers(model).items():
        matrices = read_matrices(path, layer)
        gates = torch.randn(matrices.experts, generator=draw)
        layer.masks["default"] = lambda given, own=gates: own.expand_as(given)
        x = torch.randn(5, layer.in_features, generator=draw)
        down, up = constant_gates(matrices, gates)
        with torch.no_grad():
            routed = layer(x) - layer.base_layer(x)
        torch.testing.assert_close((x.double() @ down.T @ up.T).float(), routed, rtol=1e-4, atol=1e-5)
        stacked = matrices.scaling * x.double() @ gated_down(matrices, gates).T @ matrices.up.T
        torch.testing.assert_close(stacked.float(), routed, rtol=1e-4, atol=1e-5)


def test_the_rank_is_that_of_all_experts_unless_they_share_a(adapted):
    ranks = {"moelora": 12, "teamlora": 12, "hydralora": 3, "comol": 3, "smora": 12, "flylora": 12}
    for method, rank in ranks.items():
        layer = layers(adapted(method))[0]
        matrices = read_matrices("layer", layer)
        down, up = constant_gates(matrices, torch.ones(matrices.experts))
        assert (down.shape, up.shape) == ((rank, layer.in_features), (layer.out_features, rank))


def test_a_method_that_is_no_product_of_matrices_is_refused(adapted, monkeypatch):
    layer = layers(adapted("moelora"))[0]
    route = type(layer).route

    def curved(self, *args):
        hidden, gates, up = route(self, *args)
        return hidden.square(), gates, up

    monkeypatch.setattr(type(layer), "route", curved)
    with pytest.raises(UsageError, match=r"the experts of the layer x.up .MoeLoraLinear. are not products of two"):
        read_matrices("x.up", layer)


def test_a_method_that_adds_its_experts_in_another_way_is_refused(adapted, monkeypatch):
    layer = layers(adapted("moelora"))[0]
    combine = type(layer).combine

    def tempered(self, result, name, hidden, gates, up, scaling):
        return combine(self, result, name, hidden, gates.square(), up, scaling)

    monkeypatch.setattr(type(layer), "combine", tempered)
    with pytest.raises(UsageError, match="are not products of two matrices"):
        read_matrices("x.up", layer)


def test_a_method_that_combines_its_experts_in_its_own_way_must_give_their_matrices(adapted, monkeypatch):
    layer = layers(adapted("comol"))[0]
    monkeypatch.setattr(type(layer), "expert_matrices", lambda self, name: None)
    with pytest.raises(UsageError, match="are not products of two matrices"):
        read_matrices("layer", layer)
