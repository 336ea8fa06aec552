"""Facts about the experts of saved adapters, for every method with experts."""

import pytest

from cme.adapters.expert_facts import experts_of_layers, gates_tie, names_matrices
from tests.adapters.conftest import adapted, logits, make_config  # noqa: F401 (a fixture)
from tests.adapters.variants import METHODS, ROUTED


@pytest.mark.parametrize("method", METHODS)
def test_methods_with_experts_name_their_matrices(method):
    assert names_matrices({"peft_type": method.upper()}) == (method in ROUTED)
    assert not names_matrices({"peft_type": ["x"]}) and not names_matrices({})


@pytest.mark.parametrize("method", ROUTED)
def test_only_methods_whose_gate_weights_are_equal_tie(adapted, method):  # noqa: F811 (the fixture)
    """The statement of the configuration is what the gate weights of a forward pass show."""
    import torch

    from cme.adapters.routed.gates import recorded_gates

    with recorded_gates(model := adapted(method)) as layers:
        logits(model, torch.arange(3, 23).reshape(2, 10))
        gates = torch.cat([layer.gates["default"].flatten(0, 1) for layer in layers.values()])
    top = gates.topk(2, dim=-1).values
    tied = bool((top[:, 0] == top[:, 1]).all())
    assert tied == gates_tie(make_config(method).to_dict())


def test_the_number_of_experts_of_each_layer_is_read_from_the_files(adapted, tmp_path):  # noqa: F811 (the fixture)
    from cme.adapters.routed.gates import routed_layers

    model = adapted("mola", experts_pattern={r"layers\.0\..*": 2, r"1\.mlp\.down_proj": 6})
    model.save_pretrained(tmp_path)
    expected = {path: int(layer.plans["default"].config.experts) for path, layer in routed_layers(model).items()}
    config = model.peft_config["default"].to_dict()
    assert experts_of_layers(tmp_path, config) == expected and set(expected.values()) == {2, 4, 6}
    assert experts_of_layers(tmp_path, {"experts": 3}) == {"": 3}
