"""Masked experts against loops over the remaining experts."""

from itertools import combinations

import pytest
import torch
from peft import get_peft_model

from cme.adapters.routed.gates import recorded_gates, routed_layers
from cme.adapters.routed.masks import HOW, masked_experts
from cme.errors import UsageError
from tests.adapters.conftest import layers, logits, make_base, make_config
from tests.adapters.oracle import LoopLayer
from tests.adapters.variants import routed_variants

FIRST = "model.layers.0.mlp.up_proj"


def expected(layer, x, keep, how):
    """Compute the output of a layer, with the gate weights of all experts outside of ``keep`` set to zero, token by token."""
    loop = LoopLayer(layer)
    gates, result = loop.gates(x), loop.frozen(x)
    for row in range(x.shape[0]):
        for place in range(x.shape[1]):
            weights = gates[row, place].tolist()
            kept = {weights.index(max(weights))} if keep == "top1" else set(keep)
            left = [weight if expert in kept else 0.0 for expert, weight in enumerate(weights)]
            if how == "renormalise" and sum(left) * sum(weights) > 0 and abs(sum(left)) > 0.01 * abs(sum(weights)):
                left = [weight * sum(weights) / sum(left) for weight in left]
            for weight, (down, up) in zip(left, loop.experts, strict=True):
                result[row, place] += loop.scale * weight * (up @ (down @ x[row, place]))
    return result


@routed_variants
@pytest.mark.parametrize("how", HOW)
def test_masked_layers_agree_with_a_loop_over_the_remaining_experts(adapted, method, fields, how):
    model = adapted(method, **fields)
    layer, x = layers(model)[0], torch.randn(2, 3, 24)
    experts = model.peft_config["default"].experts
    sets = [set(chosen) for size in range(experts) for chosen in combinations(range(experts), size)][:12]
    with torch.no_grad():
        for keep in ["top1", *sets]:
            with masked_experts(model, keep, how):
                torch.testing.assert_close(layer(x), expected(layer, x, keep, how), rtol=1e-4, atol=1e-4)


@routed_variants
@pytest.mark.parametrize("how", HOW)
def test_no_expert_is_the_base_and_all_experts_are_the_adapter_bit_for_bit(adapted, tokens, method, fields, how):
    model = adapted(method, **fields)
    whole, experts = logits(model, tokens), range(model.peft_config["default"].experts)
    with model.disable_adapter():
        base = logits(model, tokens)
    assert not torch.equal(whole, base)
    with masked_experts(model, [], how):
        assert torch.equal(logits(model, tokens), base)
    with masked_experts(model, experts, how):
        assert torch.equal(logits(model, tokens), whole)
    assert torch.equal(logits(model, tokens), whole)


def test_an_exception_leaves_nothing_behind(adapted, tokens):
    model = adapted()
    before = logits(model, tokens)
    with pytest.raises(KeyError), masked_experts(model, [0]):
        raise KeyError
    assert torch.equal(logits(model, tokens), before)
    assert not any(layer.masks for layer in layers(model))


def test_an_inner_mask_replaces_the_outer_one_until_it_ends(adapted, tokens):
    model = adapted()
    with masked_experts(model, [0]):
        first = logits(model, tokens)
        with masked_experts(model, [1]):
            second = logits(model, tokens)
        assert torch.equal(logits(model, tokens), first) and not torch.equal(first, second)


def test_layers_can_keep_different_experts(adapted, tokens):
    model = adapted()
    names = list(layers(model))
    sets = [{number % 4} for number in range(len(names))]
    with masked_experts(model, sets):
        by_order = logits(model, tokens)
    with recorded_gates(model) as routed:
        paths = list(routed)
    with masked_experts(model, dict(zip(paths, sets, strict=True))):
        assert torch.equal(logits(model, tokens), by_order)
    with masked_experts(model, {FIRST: [2]}):
        kept = {path: set(layer.masks["default"].kept) for path, layer in routed.items() if layer.masks}
        assert kept == {FIRST: {2}} and not torch.equal(logits(model, tokens), by_order)


def test_only_the_named_adapter_is_masked(tokens):
    model = get_peft_model(make_base(), make_config("moelora", init_weights=False)).eval()
    model.add_adapter("other", make_config("moelora", init_weights=False))
    model.set_adapter("other")
    before = logits(model, tokens)
    with masked_experts(model, [], adapter_name="default"):
        assert torch.equal(logits(model, tokens), before)
    with masked_experts(model, []), model.disable_adapter():
        base = logits(model, tokens)
    with masked_experts(model, []):
        assert torch.equal(logits(model, tokens), base)


def test_gate_weights_that_nearly_cancel_are_counted_and_not_scaled(adapted):
    model = adapted("teamlora", gate_sum="free")
    layer = routed_layers(model)[FIRST]
    with torch.no_grad():
        layer.teamlora_S["default"].zero_()  # φ is 1/4 for every expert
        # ω = (-0.5, 0.5005, 0.5, 0.5): experts 0 and 1 cancel to 0.0005 of a sum of 1.0005.
        rows = [[-2.0, 0, 0, 0], [2.002, 0, 0, 0], [2.0, 0, 0, 0], [2.0, 0, 0, 0]]
        layer.teamlora_M["default"].copy_(torch.tensor(rows))
        x = torch.randn(2, 5, 24)
        for keep, guarded in (([0, 1], 10), ([0], 10), ([2], 0)):
            with masked_experts(model, {FIRST: keep}, "renormalise") as counts:
                output = layer(x)
            assert (counts.positions, counts.guarded) == (10, guarded)
            torch.testing.assert_close(output, expected(layer, x, keep, "renormalise"), rtol=1e-4, atol=1e-4)


@routed_variants
def test_recorded_gate_weights_are_those_of_the_router(adapted, tokens, method, fields):
    model = adapted(method, **fields)
    with recorded_gates(model) as routed:
        logits(model, tokens)
        expected_gates, values = dict(routed[FIRST].gates), dict(routed[FIRST].values)
        with masked_experts(model, {FIRST: [0]}):
            logits(model, tokens)
        assert torch.equal(routed[FIRST].gates["default"], expected_gates["default"])
        phi = values["default"]
        torch.testing.assert_close(phi.sum(-1), torch.ones(2, 9))
        assert (phi >= 0).all()
        if method == "teamlora" and model.peft_config["default"].competition:
            loop = LoopLayer(routed[FIRST])
            interaction, free = routed[FIRST].teamlora_M["default"], model.peft_config["default"].gate_sum == "free"
            omega = phi @ interaction.T
            wanted = omega if free else omega / omega.sum(-1, keepdim=True)
            torch.testing.assert_close(expected_gates["default"], wanted, rtol=1e-3, atol=1e-4)
            assert loop.scale > 0
        else:
            assert torch.equal(phi, expected_gates["default"])
    assert not any(layer.values for layer in routed.values())


@pytest.mark.parametrize(
    ("keep", "how", "message"),
    [
        ([4], "zero", "no expert 4.*0 to 3"),
        ([-1], "zero", "no expert -1"),
        ([True], "zero", "no expert True"),
        ("top2", "zero", "'top2'.*top1"),
        ([0], "none", "'none'.*renormalise"),
        ({"model.layers.9.mlp.up_proj": [0]}, "zero", r"layers\.9.*Did you mean"),
        ([[0], [1]], "zero", "2 layers.*6 layers"),
    ],
)
def test_what_is_not_there_is_refused(adapted, keep, how, message):
    model = adapted()
    with pytest.raises(UsageError, match=message), masked_experts(model, keep, how):
        pass
    assert not any(layer.masks for layer in layers(model))


def test_an_adapter_without_experts_is_refused(adapted):
    for method in ("lora", "moslora"):
        with pytest.raises(UsageError, match="no adapter with experts"), masked_experts(adapted(method), [0]):
            pass
    with (
        pytest.raises(UsageError, match="'other' has no experts"),
        masked_experts(adapted(), [0], adapter_name="other"),
    ):
        pass
