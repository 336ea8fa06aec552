"""Numerical checks of every method: initialisation, loop over experts, gradients, dtypes, padding, cache, compilation."""

import pytest
import torch
import torch.nn.functional as F
from peft import get_peft_model

from tests.adapters.conftest import layers, logits, make_base, make_config, of_adapter, randomise
from tests.adapters.oracle import LoopLayer, as_loop
from tests.adapters.variants import BALANCED, every_method, every_variant


def backward(model, tokens):
    """Return the gradients of the loss by name, without the term that AdaLoRA's forward adds."""
    own = model(input_ids=tokens).logits
    F.cross_entropy(own[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()
    return {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}


@every_variant
def test_an_untrained_adapter_changes_nothing(base, adapted, tokens, method, fields):
    model = adapted(method, trained=False, **fields)
    assert layers(model)
    torch.testing.assert_close(logits(model, tokens), logits(base, tokens), rtol=0, atol=0)


@every_variant
def test_each_layer_equals_the_loop_over_experts(adapted, method, fields):
    for layer in layers(adapted(method, **fields)):
        for rows in (1, 40):
            x = torch.randn(2, rows, layer.in_features)
            expected = LoopLayer(layer)(x)
            assert (expected - layer.base_layer(x)).abs().max() > 0.05
            assert (layer(x) - expected).abs().max() <= 1e-5 * expected.abs().max()


@every_variant
def test_the_model_and_its_gradients_equal_the_loop(adapted, tokens, method, fields):
    fused, loop = adapted(method, **fields), adapted(method, **fields)
    named = [(name, weight) for name, weight in loop.named_parameters() if weight.requires_grad]
    as_loop(loop)
    torch.testing.assert_close(logits(fused, tokens), logits(loop, tokens), rtol=0, atol=1e-4)
    own, _ = backward(fused, tokens), backward(loop, tokens)
    assert named
    for name, weight in named:
        torch.testing.assert_close(own[name], weight.grad, rtol=1e-3, atol=1e-6, msg=name)


@every_variant
def test_gradient_reaches_every_parameter(adapted, tokens, method, fields):
    model = adapted(method, **fields).train()
    model(input_ids=tokens, labels=tokens).loss.backward()
    reached = {name: float(p.grad.abs().sum()) for name, p in model.named_parameters() if p.requires_grad}
    # One expert alone always weighs 1, so its router and its interaction have nothing to learn.
    idle = ("lora_S", "lora_M", "lora_W", "mol_W", "mole_W", "mole_T") if fields.get("experts") == 1 else ()
    assert reached and all(total > 0 for name, total in reached.items() if not any(part in name for part in idle))
    assert all(of_adapter(name) for name in reached)


@pytest.fixture(scope="module")
def one_process():
    """A process group that consists of this process only."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@every_variant
def test_data_parallel_training_finds_no_unused_parameter(adapted, tokens, one_process, method, fields):
    balanced = {"balance_weight": 1.0} if method in BALANCED else {}
    model = torch.nn.parallel.DistributedDataParallel(adapted(method, **fields, **balanced).train())
    for _ in range(2):
        model(input_ids=tokens, labels=tokens).loss.backward()


@every_variant
def test_gradient_checkpointing_gives_the_same_gradients(adapted, tokens, method, fields):
    grads = []
    for checkpointing in (False, True):
        model = adapted(method, **fields).train()
        if checkpointing:
            model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        grads.append(backward(model, tokens))
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-4, atol=1e-6, msg=name)


def equally_routed(rounded, layer, exact, wide):
    """Mark the tokens that use the same experts in two passes. Rounding changes the choice where two experts are nearly equal."""
    used = []
    for run, of in ((rounded, layer), (exact, wide)):
        if not hasattr(of, "record_gates"):
            return torch.ones(())
        of.record_gates = True
        run()
        of.record_gates = False
        used.append(of.gates.pop("default") != 0)
    same = (used[0] == used[1]).all(-1)
    assert same.float().mean() > 0.6
    return same


def autocast_to(layer, x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return layer(x)


@every_variant
@pytest.mark.parametrize("cast", [True, False], ids=["float32 adapter", "bfloat16 adapter"])
def test_a_bfloat16_base(adapted, tokens, method, fields, cast):
    config = make_config(method, **fields)
    model = get_peft_model(make_base().to(torch.bfloat16), config, autocast_adapter_dtype=cast).eval()
    randomise(model)
    kinds = {weight.dtype for name, weight in model.named_parameters() if of_adapter(name)}
    assert kinds == {torch.float32 if cast else torch.bfloat16}
    for layer, wide in zip(layers(model), layers(adapted(method, **fields)), strict=True):
        x = torch.randn(2, 9, layer.in_features)
        output, exact = layer(x.bfloat16()), wide(x)
        assert output.dtype == torch.bfloat16
        same = equally_routed(lambda layer=layer, x=x: layer(x.bfloat16()), layer, lambda wide=wide, x=x: wide(x), wide)
        assert ((output - exact).abs().amax(-1) * same).max() < 0.02 * exact.abs().max()
    model.train()(input_ids=tokens, labels=tokens).loss.backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.requires_grad)


@every_variant
def test_autocast(adapted, tokens, method, fields):
    model = adapted(method, **fields)
    for layer in layers(model):
        x = torch.randn(2, 9, layer.in_features)
        exact = layer(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = layer(x)
        same = equally_routed(
            lambda layer=layer, x=x: autocast_to(layer, x), layer, lambda layer=layer, x=x: layer(x), layer
        )
        assert ((rounded - exact).abs().amax(-1) * same).max() < 0.02 * exact.abs().max()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.train()(input_ids=tokens, labels=tokens).loss.backward()
    assert all(weight.grad.dtype == torch.float32 for weight in model.parameters() if weight.requires_grad)


@every_variant
def test_dropout_acts_in_training_only(adapted, tokens, method, fields):
    model = adapted(method, lora_dropout=0.5, **fields)
    assert torch.equal(logits(model, tokens), logits(adapted(method, **fields), tokens))
    model.train()
    assert not torch.equal(logits(model, tokens), logits(model, tokens))


@every_variant
def test_generating_with_a_cache_equals_without(adapted, tokens, method, fields):
    model = adapted(method, **fields)
    runs = [
        model.generate(input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=8, do_sample=False,
                       use_cache=use_cache, pad_token_id=0)
        for use_cache in (True, False)
    ]  # fmt: skip
    assert torch.equal(*runs) and runs[0].shape[1] > 9


@every_variant
def test_left_padding_does_not_change_a_row(adapted, tokens, method, fields):
    model = adapted(method, **fields)
    padded = torch.cat((torch.zeros(2, 4, dtype=torch.long), tokens), dim=1)
    mask = (padded != 0).long()
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    own = logits(model, padded, attention_mask=mask, position_ids=positions)[:, 4:]
    torch.testing.assert_close(own, logits(model, tokens), rtol=0, atol=1e-5)


@every_variant
def test_rows_do_not_depend_on_the_batch(adapted, tokens, method, fields):
    model = adapted(method, **fields)
    torch.testing.assert_close(logits(model, tokens)[:1], logits(model, tokens[:1]), rtol=0, atol=1e-5)


@every_method
def test_a_layer_is_one_graph_for_torch_compile(adapted, method):
    check_graph(layers(adapted(method))[0])


@pytest.mark.long
@every_variant
def test_a_layer_of_every_form_is_one_graph_for_torch_compile(adapted, method, fields):
    check_graph(layers(adapted(method, **fields))[0])


def check_graph(layer):
    torch.compiler.reset()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for rows in (1, 40):
        x = torch.randn(2, rows, 24)
        compiled(x).sum().backward()
        own = [weight.grad.clone() for weight in layer.parameters() if weight.requires_grad]
        layer.zero_grad()
        layer(x).sum().backward()
        torch.testing.assert_close(compiled(x), layer(x), rtol=1e-4, atol=1e-5)
        for mine, weight in zip(own, (w for w in layer.parameters() if w.requires_grad), strict=True):
            torch.testing.assert_close(mine, weight.grad, rtol=1e-4, atol=1e-5)
        layer.zero_grad()


@pytest.mark.long
@every_method
def test_a_compiled_model_gives_the_same(adapted, tokens, method):
    model = adapted(method)
    exact = logits(model, tokens)
    torch.compiler.reset()
    compiled = torch.compile(model)
    torch.testing.assert_close(logits(compiled, tokens), exact, rtol=1e-4, atol=1e-4)
