"""The selection bias of SMoRA and FlyLoRA moves once per optimiser step, by the choices of all its tokens."""

import copy
import warnings

import pytest
import torch
from peft import PeftModel, get_peft_model

from cme.adapters import load_adapter
from cme.errors import CMEWarning
from tests.adapters.conftest import layers, logits, make_base, make_config
from tests.adapters.variants import RANKWISE

STEP = 0.01
each = pytest.mark.parametrize("method", RANKWISE)


def made(method, **fields):
    torch.manual_seed(3)
    return get_peft_model(make_base(), make_config(method, bias_step=STEP, **fields)).train()


def optimiser(model):
    return torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=1e-3)


def biases(model):
    return torch.stack([layer.bias_of("default").clone() for layer in layers(model)])


def choices(model, tokens, mask=None):
    """Count by hand how many tokens without padding use each rank, [layers, R]."""
    keep = torch.ones_like(tokens) if mask is None else mask
    counts = torch.zeros(len(layers(model)), 12)
    for layer in layers(model):
        layer.record_gates = True
    with torch.no_grad():
        model(input_ids=tokens, attention_mask=keep)
    for number, layer in enumerate(layers(model)):
        gates = layer.gates.pop("default")
        layer.record_gates = False
        for row, place in keep.nonzero().tolist():
            for rank in range(12):
                counts[number, rank] += bool(gates[row, place, rank] != 0)
    return counts


def moved(counts):
    return STEP * (counts.mean(-1, keepdim=True) - counts).sign()


def step(model, *batches, checkpointing=False):
    if checkpointing:
        model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    own = optimiser(model)
    for batch in batches:
        model(**batch, labels=batch["input_ids"]).loss.backward()
    own.step()
    own.zero_grad()
    return model


@each
@pytest.mark.parametrize("checkpointing", [False, True], ids=["", "gradient checkpointing"])
def test_it_moves_towards_balance_and_padding_does_not_count(tokens, method, checkpointing):
    mask = torch.ones_like(tokens)
    mask[0, :5] = 0
    model = made(method)
    counts = choices(model, tokens, mask)
    assert counts.sum(-1).tolist() == [4 * 13] * 6 and not torch.equal(moved(counts), moved(choices(model, tokens)))
    step(model, {"input_ids": tokens, "attention_mask": mask}, checkpointing=checkpointing)
    torch.testing.assert_close(biases(model), moved(counts), rtol=0, atol=1e-7)
    assert biases(model).any() and not any(layer.counts_of("default").any() for layer in layers(model))


@each
def test_accumulated_batches_count_together(tokens, method):
    """A step over two batches moves the bias once, by the sum of the counts."""
    model, other = made(method), tokens.flip(0) + 1
    counts = choices(model, tokens) + choices(model, other)
    step(model, {"input_ids": tokens}, {"input_ids": other})
    torch.testing.assert_close(biases(model), moved(counts), rtol=0, atol=1e-7)


@each
def test_evaluation_and_other_optimisers_do_not_move_it(tokens, method):
    model, other = made(method), made(method)
    model.eval()(input_ids=tokens)
    with torch.no_grad():
        model.train()(input_ids=tokens)
    optimiser(model).step()
    assert not biases(model).any()
    model(input_ids=tokens)
    optimiser(other).step()
    assert not biases(model).any() and not biases(other).any()
    optimiser(model).step()
    assert biases(model).any()


@each
def test_a_copy_of_a_model_moves_its_own_bias(tokens, method):
    model = made(method)
    other = step(copy.deepcopy(model), {"input_ids": tokens})
    assert biases(other).any() and not biases(model).any()


@each
def test_without_a_step_size_there_is_no_bias(tokens, method):
    torch.manual_seed(3)
    model = get_peft_model(make_base(), make_config(method, bias_step=0.0)).train()
    assert not biases(step(model, {"input_ids": tokens})).any()


@each
def test_it_is_saved_and_training_resumes_bitwise(tokens, method, tmp_path):
    batch = {"input_ids": tokens}
    through = step(step(made(method), batch), batch)
    half = step(made(method), batch)
    half.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(make_base(), tmp_path, is_trainable=True).train()
    assert torch.equal(biases(again), biases(half)) and biases(again).any()
    assert torch.equal(biases(step(again, batch)), biases(through))
    assert torch.equal(logits(again.eval(), tokens), logits(through.eval(), tokens))


@each
def test_the_bias_stays_in_float32_on_a_bfloat16_base(tokens, method, tmp_path):
    config = make_config(method, bias_step=1e-5)
    model = get_peft_model(make_base().to(torch.bfloat16), config, autocast_adapter_dtype=False).train()
    for _ in range(3):
        step(model, {"input_ids": tokens})
    values = biases(model)
    assert values.dtype == torch.float32 and values.abs().max() == pytest.approx(3e-5)
    model.save_pretrained(tmp_path)
    assert torch.equal(biases(load_adapter(make_base().to(torch.bfloat16), tmp_path)), values)


@each
def test_it_changes_which_ranks_are_used(tokens, method):
    model = made(method)
    with torch.no_grad():
        for layer in layers(model):
            layer.bias_of("default")[7] = 100.0
    assert (choices(model, tokens)[:, 7] == tokens.numel()).all()


@each
def test_two_adapters_have_their_own_biases(tokens, method):
    model = made(method)
    model.add_adapter("second", make_config(method, r=8, bias_step=STEP))
    step(model, {"input_ids": tokens})
    assert biases(model).any() and not any(layer.bias_of("second").any() for layer in layers(model))
    model.set_adapter("second")
    before = biases(model)
    step(model, {"input_ids": tokens})
    assert torch.equal(biases(model), before) and all(layer.bias_of("second").any() for layer in layers(model))
    model.set_adapter("default")
    model.delete_adapter("second")
    assert all(list(layer.counts) == ["default"] for layer in layers(model))


@pytest.mark.long
@each
def test_under_torch_compile_it_moves_as_well(tokens, method):
    model = made(method)
    counts = choices(model, tokens)
    torch.compiler.reset()
    compiled, own = torch.compile(model, backend="aot_eager"), optimiser(model)
    for number in (1, 2):
        compiled(input_ids=tokens, labels=tokens).loss.backward()
        own.step()
        if number == 1:
            torch.testing.assert_close(biases(model), moved(counts), rtol=0, atol=1e-7)
    assert biases(model).abs().max() > STEP


@each
def test_an_optimiser_with_copies_of_the_parameters_causes_one_warning(method, tokens):
    """As DeepSpeed ZeRO does. The bias would stay 0 without a word."""
    model = made(method)
    flat = torch.nn.Parameter(torch.zeros(3))
    copies = torch.optim.SGD([flat], lr=1e-3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(4):
            model(input_ids=tokens, labels=tokens).loss.backward()
            flat.grad = torch.ones(3)
            copies.step()
    texts = [str(one.message) for one in caught if "selection biases of the adapter do not move" in str(one.message)]
    assert len(texts) == 1 and not biases(model).any()


@each
def test_an_optimiser_of_another_model_beside_causes_no_warning(method, tokens):
    model = made(method)
    own, flat = optimiser(model), torch.nn.Parameter(torch.zeros(3))
    other = torch.optim.SGD([flat], lr=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CMEWarning)
        for _ in range(4):
            model(input_ids=tokens, labels=tokens).loss.backward()
            flat.grad = torch.ones(3)
            other.step()
            own.step()
    assert biases(model).any()
