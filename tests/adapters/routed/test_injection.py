"""The balance term has its gradient for every caller, whether the model or the trainer computes the loss."""

import pytest
import torch
import torch.nn.functional as F

from cme.adapters.routed.balance import balance_term
from cme.adapters.routed.gates import recorded_gates
from cme.errors import UsageError
from tests.adapters.conftest import make_base, make_config, randomise
from tests.adapters.variants import BALANCED

WEIGHT = 50.0


def made(entry="peft", method="teamlora", weight=WEIGHT, **fields):
    """Create a model in training mode, with an adapter that was added in one of three ways."""
    torch.manual_seed(3)
    config = make_config(method, balance_weight=weight, **fields)
    if entry == "add_adapter":
        model = make_base()
        model.add_adapter(config)
    else:
        from peft import get_peft_model

        if entry == "no task type":
            config.task_type = None
        model = get_peft_model(make_base(), config)
    randomise(model)
    return model.train()


def padded(tokens):
    mask = torch.ones_like(tokens)
    mask[0, :3] = 0
    return {"input_ids": tokens, "attention_mask": mask, "labels": torch.where(mask == 1, tokens, -100)}


def adapter_grads(model):
    """Return the adapter's gradients by name, without PEFT's prefix."""
    return {
        name.split("model.layers.")[-1]: weight.grad
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is not None
    }


def expected(batch, method="teamlora", scale=1.0, term_scale=1.0, loss=None, **fields):
    """Return the gradients of loss and term. The term is computed from recorded gate weights and differentiated by autograd."""
    form = fields.get("balance_form", "centred")
    model = made(method=method, weight=1e-30, **fields)  # too small to act, enough to be recorded
    with recorded_gates(model) as layers:
        outputs = model.get_base_model()(**batch)
        mask = batch.get("attention_mask")
        choices = [layer.chosen.get("default") for layer in layers.values()]
        term = balance_term([(layer.balanced_gates["default"], mask) for layer in layers.values()], form, choices)
        whole = scale * (outputs.loss if loss is None else loss(outputs.logits)) + term_scale * WEIGHT * term
        whole.backward()
    return adapter_grads(model)


def agree(model, grads):
    own = adapter_grads(model)
    assert own.keys() == grads.keys() and grads
    for name, grad in grads.items():
        torch.testing.assert_close(own[name], grad, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("entry", ["peft", "no task type", "add_adapter"])
@pytest.mark.parametrize(
    "fields", [{}, {"gate_sum": 1}, {"balance_form": "released"}, {"balance_form": "switch"}], ids=str
)
def test_the_models_own_loss_has_the_term_however_the_adapter_was_put_on(tokens, entry, fields):
    batch, model = padded(tokens), made(entry, **fields)
    (0.25 * model(**batch).loss).backward()  # as a trainer that accumulates four batches
    agree(model, expected(batch, scale=0.25, term_scale=0.25, **fields))
    moved = expected(batch, scale=0.25, term_scale=0, **fields)
    assert any(not torch.allclose(adapter_grads(model)[name], grad, rtol=1e-2) for name, grad in moved.items())


@pytest.mark.parametrize("method", ["mola", "adamole"])
def test_the_term_of_a_selection_counts_the_experts_that_are_used(tokens, method):
    batch, fields = padded(tokens), {"balance_form": "switch"}
    model = made(method=method, **fields)
    model(**batch).loss.backward()
    agree(model, expected(batch, method, **fields))


def own_loss(logits):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), logits.new_zeros(logits[:, 1:].shape[:-1]).long().flatten())


@pytest.mark.parametrize("entry", ["peft", "no task type", "add_adapter"])
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("method", BALANCED)
def test_a_trainer_with_a_loss_of_its_own_gets_the_term(tokens, entry, labels, method):
    batch = padded(tokens)
    if not labels:
        del batch["labels"]
    model = made(entry, method)
    own_loss(model(**batch).logits).backward()
    agree(model, expected(batch, method, loss=own_loss))


def test_a_trainer_that_calls_the_inner_model_gets_the_term(tokens):
    """Trainers with a fused loss take the hidden states of the inner model and compute the output layer themselves."""
    batch, model = padded(tokens), made()
    labels = batch.pop("labels")
    assert labels is not None
    inner = model.get_base_model().model(**batch).last_hidden_state
    own_loss(model.get_base_model().lm_head(inner)).backward()
    agree(model, expected(batch, loss=own_loss))


@pytest.mark.parametrize("entry", ["peft", "add_adapter"])
def test_gradient_checkpointing_changes_nothing(tokens, entry):
    batch, model = padded(tokens), made(entry)
    base = model if entry == "add_adapter" else model.get_base_model()
    base.activation_checkpointing_enable({"use_reentrant": False})
    model.enable_input_require_grads()
    model(**batch).loss.backward()
    agree(model, expected(batch))


def test_two_passes_before_one_backward_keep_their_own_masks(tokens):
    """Preference losses do this. With checkpointing, the first pass is recomputed after the second one."""
    model = made()
    model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
    model.enable_input_require_grads()
    first, second = padded(tokens), padded(tokens.flip(1))
    second["attention_mask"] = second["attention_mask"].flip(0)
    (model(**first).loss + model(**second).loss).backward()
    apart = [expected(batch) for batch in (first, second)]
    agree(model, {name: grad + apart[1][name] for name, grad in apart[0].items()})


@pytest.mark.parametrize("entry", ["no task type", "add_adapter"])
def test_reentrant_checkpointing_is_refused_however_the_adapter_was_put_on(tokens, entry):
    model = made(entry, weight=0.0)
    base = model if entry == "add_adapter" else model.get_base_model()
    base.activation_checkpointing_enable({"use_reentrant": True})
    with pytest.raises(UsageError, match='use_reentrant": False'):
        model(**padded(tokens))


def test_tuples_and_positions(tokens):
    batch, model = padded(tokens), made()
    plain = made(weight=0.0)
    base = model.get_base_model()
    loss = base(batch["input_ids"], batch["attention_mask"], labels=batch["labels"], return_dict=False)[0]
    assert float(loss.detach()) > float(plain(**batch).loss.detach())
    loss.backward()
    agree(model, expected(batch))


def test_a_base_that_is_given_back_is_left_alone(tokens):
    base = made().unload()
    base.activation_checkpointing_enable({"use_reentrant": True})
    base.train()(**padded(tokens))
    assert not base._forward_hooks and not base._forward_pre_hooks


def test_a_second_adapter_counts_once(tokens):
    """Each call of transformers' ``add_adapter`` creates its own tuner, of which PEFT warns."""
    model = made("add_adapter")
    with pytest.warns(UserWarning, match="Already found a `peft_config` attribute"):
        model.add_adapter(make_config("teamlora", balance_weight=WEIGHT), adapter_name="second")
    model.set_adapter("default")
    batch = padded(tokens)
    model(**batch).loss.backward()
    agree(model, expected(batch))


def test_in_evaluation_the_loss_is_the_models_own(tokens):
    batch = padded(tokens)
    assert torch.equal(made().eval()(**batch).loss, made(weight=0.0).eval()(**batch).loss)
