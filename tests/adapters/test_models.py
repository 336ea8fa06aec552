"""CME's methods on any linear layer of any model: encoder-decoder, vision-language, fused attention, tied embeddings."""

import pytest
import torch
from peft import get_peft_model
from torch import nn

from cme.adapters import build_config, ffn_targets, load_adapter, settings_from
from cme.adapters.routed.gates import recorded_gates
from cme.errors import AdapterError, UsageError
from tests.adapters.conftest import layers, logits, make_base, make_config, randomise
from tests.adapters.variants import BALANCED, OWN, ROUTED
from tests.adapters.zoo import IMAGE, KINDS

own_methods = pytest.mark.parametrize("method", OWN)
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def adapt(kind, method, **fields):
    """Create a model of this kind with the adapter that ``cme train`` would create, and give it random weights."""
    base = kind.make()
    values = {"method": method, "rank": 3, **fields}
    if kind.targets:
        values["target_modules"] = kind.targets
    model = get_peft_model(base, build_config(settings_from(values), base))
    randomise(model)
    return model


def outputs(model, kind):
    with torch.no_grad():
        return model(**kind.inputs, labels=kind.labels).logits


@every_kind
@own_methods
def test_a_step_of_training_lowers_the_loss(method, kind):
    balanced = {"balance_weight": 1.0} if method in BALANCED else {}
    model = adapt(kind, method, **balanced).train()
    assert len(layers(model)) == kind.adapted
    own = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.SGD(own.values(), lr=1e-4)
    losses = []
    for _ in range(2):
        loss = model(**kind.inputs, labels=kind.labels).loss
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        assert all(weight.grad.isfinite().all() and weight.grad.abs().sum() > 0 for weight in own.values())
        optimizer.step()
    assert losses[1] < losses[0]


@every_kind
@own_methods
def test_saved_and_loaded_it_gives_and_generates_the_same(tmp_path, method, kind):
    model = adapt(kind, method).eval()
    model.save_pretrained(tmp_path)
    again = load_adapter(kind.make(), tmp_path)
    assert torch.equal(outputs(again, kind), outputs(model, kind))
    assert (outputs(model, kind) - outputs(kind.make(), kind)).abs().max() > 1e-3
    texts = [
        # A generated image token would need another picture.
        each.generate(
            **kind.inputs,
            max_new_tokens=6,
            do_sample=False,
            use_cache=use_cache,
            pad_token_id=0,
            suppress_tokens=[IMAGE],
        )
        for each, use_cache in ((model, True), (model, False), (again, True))
    ]
    assert torch.equal(texts[0], texts[1]) and torch.equal(texts[0], texts[2])


@every_kind
@pytest.mark.parametrize("method", ["moslora", "teamlora"])
def test_gradient_checkpointing_gives_the_same_gradients(method, kind):
    grads = []
    for checkpointing in (False, True):
        model = adapt(kind, method).train()
        if checkpointing:
            model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        model(**kind.inputs, labels=kind.labels).loss.backward()
        grads.append({name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-4, atol=1e-6, msg=name)


def test_a_vision_tower_is_left_alone_unless_it_is_named():
    model = KINDS["LLaVA"].make()
    assert ffn_targets(model) == ["gate_proj", "up_proj", "down_proj"]
    assert ffn_targets(model.model.vision_tower) == ["fc1", "fc2"]
    settings = settings_from({"method": "moelora", "target_modules": ["fc1"]})
    adapted = get_peft_model(model, build_config(settings, model))
    assert len(layers(adapted)) == 2


def padded_t5():
    """Two batches that differ only in padding tokens. Encoder and decoder have equal lengths and different padding."""
    tokens = torch.arange(3, 31).view(2, 2, 7)
    mask, kept = torch.ones(2, 7, dtype=torch.long), torch.ones(2, 7, dtype=torch.bool)
    mask[0, :3], mask[1, :1] = 0, 0
    kept[0, 5:], kept[1, 2:] = False, False
    inputs = {
        "input_ids": tokens[0],
        "attention_mask": mask,
        "decoder_input_ids": tokens[1],
        "labels": torch.where(kept, tokens[1], -100),
    }
    others = {
        "input_ids": torch.where(mask == 1, tokens[0], 50),
        "decoder_input_ids": torch.where(kept, tokens[1], 51),
    }
    return inputs, inputs | others


@pytest.mark.parametrize("method", BALANCED[:-1])
@pytest.mark.parametrize("targets", [None, ("k", "v")], ids=["feed-forward", "keys and values"])
@pytest.mark.parametrize("given", [False, True], ids=["labels", "decoder_attention_mask"])
def test_padding_of_encoder_and_decoder_does_not_count_for_the_balance(method, targets, given):
    more = {"target_modules": targets} if targets else {}
    model = adapt(KINDS["T5"], method, balance_weight=100.0, **more).train()
    inputs, others = padded_t5()
    if given:
        mask = {"decoder_attention_mask": inputs["labels"].ne(-100).long()}
        inputs, others = inputs | mask, others | mask
    with torch.no_grad(), recorded_gates(model) as routed:
        plain = model.get_base_model()(**inputs).loss
        before = [layer.gates["default"] for layer in routed.values()]
        model.get_base_model()(**others)
        after = [layer.gates["default"] for layer in routed.values()]
        assert not all(map(torch.equal, before, after))
    loss = model(**inputs).loss
    assert float(loss.detach()) > float(plain)
    torch.testing.assert_close(model(**others).loss, loss, rtol=1e-5, atol=1e-5)


@own_methods
# PEFT warns of tied layers whenever it wraps, loads or saves them; the test adapts a tied layer on purpose.
@pytest.mark.filterwarnings("ignore:.*tied layer is part of the adapter:UserWarning")
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`:UserWarning")
def test_an_output_layer_tied_to_the_embedding(tmp_path, tokens, method):
    base = make_base(tie_word_embeddings=True)
    plain, embedding = logits(base, tokens), base.get_input_embeddings().weight.clone()
    with pytest.warns(UserWarning, match="tied layer is part of the adapter"):
        model = get_peft_model(base, make_config(method, target_modules=["lm_head", "up_proj"]))
    assert torch.equal(logits(model, tokens), plain)
    randomise(model)
    model.train()(input_ids=tokens, labels=tokens).loss.backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters() if weight.requires_grad)
    own = logits(model.eval(), tokens)
    assert torch.equal(model.get_input_embeddings().weight, embedding)
    model.save_pretrained(tmp_path)
    again = load_adapter(make_base(tie_word_embeddings=True), tmp_path)
    assert torch.equal(logits(again, tokens), own)
    reason = (
        "gate weights differ"
        if method in ROUTED
        else "lm_head cannot be merged, because this base ties its input and output"
    )
    for merge in (model.merge_adapter, model.merge_and_unload):
        with pytest.raises(AdapterError, match=reason):
            merge()
    assert torch.equal(logits(model, tokens), own)


@own_methods
def test_an_embedding_is_no_linear_layer(method):
    with pytest.raises(
        UsageError, match=f"{method.upper()} adapts torch.nn.Linear layers only, but model.embed_tokens is a"
    ):
        get_peft_model(make_base(), make_config(method, target_modules=["embed_tokens"]))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.MultiheadAttention(8, 2)

    def forward(self, x):
        return self.mix(x, x, x)[0]


@own_methods
def test_a_layer_that_is_never_called_is_refused(method):
    with pytest.raises(
        UsageError, match=r"mix\.out_proj is part of a torch\.nn\.MultiheadAttention.*would have no effect"
    ):
        get_peft_model(Attention(), make_config(method, task_type=None, target_modules=["mix.out_proj"]))


@own_methods
def test_adapters_are_not_weighed_into_one(adapted, method):
    model = adapted(method)
    model.add_adapter("second", model.peft_config["default"])
    with pytest.raises(UsageError, match=f"{method.upper()} adapters cannot be combined into one weighted adapter"):
        model.add_weighted_adapter(["default", "second"], [0.5, 0.5], "both")
    model.base_model.set_adapter(["default", "second"])


@pytest.mark.parametrize(
    "method", ["teamlora", *(pytest.param(name, marks=pytest.mark.long) for name in OWN if name != "teamlora")]
)
def test_a_training_step_is_one_graph_for_torch_compile(adapted, tokens, method):
    balanced = {"balance_weight": 10.0} if method in BALANCED else {}
    grads, losses = [], []
    for compiled in (False, True):
        model = adapted(method, **balanced).train()
        run = model
        if compiled:
            torch.compiler.reset()
            run = torch.compile(model, backend="aot_eager", fullgraph=True)
        loss = run(input_ids=tokens, labels=tokens).loss
        loss.backward()
        losses.append(float(loss.detach()))
        grads.append({name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad})
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-4, atol=1e-6, msg=name)
