"""A model in memory: the numbers of its folder, and the model afterwards as it was before."""

import copy
import threading

import pytest
import torch

import cme
from cme.errors import UsageError
from tests.evaluation.runs import config, responses
from tests.tiny import tiny_tokenizer

SMALL = {"source": "mini", "tier": "smoke", "datasets": "qqp,nq_open", "threads": 1}


def adapted(base, kind, fill=0.3):
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config(kind))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=fill)
    return model


@pytest.fixture
def tokenizer(tiny_base):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_base)


def state(model):
    """All that an evaluation could leave behind."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    modules = [
        (
            name,
            type(module),
            module.training,
            len(module._forward_hooks),
            len(module._forward_pre_hooks),
            sorted(vars(module)),
            {key: id(value) for key, value in module._buffers.items()},
            [str(vars(module).get(key)) for key in ("_active_adapter", "_disable_adapters", "merged_adapters")],
        )
        for name, module in model.named_modules()
    ]
    weights = [(name, w.requires_grad, w.device, w.dtype, id(w), w.grad) for name, w in model.named_parameters()]
    values = {name: value.clone() for name, value in model.state_dict().items()}
    settings = [copy.deepcopy(inner.config.to_dict()), copy.deepcopy(inner.generation_config.to_dict())]
    return modules, weights, settings, values


def assert_untouched(model, before):
    after = state(model)
    assert after[:3] == before[:3]
    for name, value in before[3].items():
        assert torch.equal(after[3][name], value), name
        assert not after[3][name].is_inference()


@pytest.mark.parametrize("kind", ["lora", "ia3", "head", "dora", "prefix", "teamlora"])
def test_it_gives_the_numbers_of_its_folder_and_stays_as_it_was(tiny_base, tokenizer, tmp_path, kind):
    model = adapted(tiny_base, kind)
    model.save_pretrained(tmp_path / "adapter")
    tokenizer.pad_token, tokenizer.padding_side = None, "left"
    model.train()
    model.base_model.eval()  # some parts train, some do not
    before = state(model)
    result = cme.evaluate(model=model, tokenizer=tokenizer, out=tmp_path / "memory", **SMALL)
    assert_untouched(model, before)
    assert tokenizer.pad_token is None and tokenizer.padding_side == "left"
    folder = cme.evaluate(adapter=tmp_path / "adapter", base=str(tiny_base), out=tmp_path / "folder", **SMALL)
    assert result.scores == folder.scores
    assert responses(tmp_path / "memory") == responses(tmp_path / "folder")
    assert result.record.adapter.method == folder.record.adapter.method
    assert result.record.adapter.changes_output is True and result.record.adapter.path == "default"
    assert (result.record.origin, folder.record.origin) == ("memory", "cme")
    assert result.in_memory and "was in memory" in repr(result)


def test_a_plain_model(tiny_base, tokenizer, tmp_path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_base).train()
    model.activation_checkpointing_enable()
    model.config.use_cache = False
    before = state(model)
    result = cme.evaluate(model=model, tokenizer=tokenizer, **SMALL)
    assert_untouched(model, before)
    assert result.scores == cme.evaluate(base=str(tiny_base), **SMALL).scores
    assert result.record.adapter is None and set(result.record.engines.values()) == {"prefix"}


def test_training_goes_on_after_it(tiny_base, tokenizer):
    """The same step gives the same gradients as without an evaluation before it."""
    tokens = torch.tensor([tokenizer.encode("The answer stands in the passage below.")])
    gradients = []
    for evaluate in (False, True):
        model = adapted(tiny_base, "lora").train()
        if evaluate:
            cme.evaluate(model=model, tokenizer=tokenizer, **SMALL)
        model(input_ids=tokens, labels=tokens).loss.backward()
        gradients.append({name: w.grad for name, w in model.named_parameters() if w.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and gradients[0]
    assert all(torch.equal(gradients[1][name], value) for name, value in gradients[0].items())


def test_the_random_generators_stay_as_they_were(tiny_base, tokenizer):
    import random

    import numpy as np

    def draws():
        return random.random(), np.random.random(), torch.rand(1).item()

    model = adapted(tiny_base, "lora")
    drawn = []
    for evaluate in (False, True):
        random.seed(5), np.random.seed(5), torch.manual_seed(5)
        if evaluate:
            cme.evaluate(model=model, tokenizer=tokenizer, **SMALL)
        drawn.append(draws())
    assert drawn[0] == drawn[1]


def test_mixed_precision_around_it_changes_no_answer(tiny_base, tokenizer, tmp_path):
    """The result says float32, so that is what computes: within the caller's autocast, and behind accelerate's."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    model = adapted(tiny_base, "lora")
    cme.evaluate(model=model, tokenizer=tokenizer, out=tmp_path / "plain", **SMALL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cme.evaluate(model=model, tokenizer=tokenizer, out=tmp_path / "autocast", **SMALL)
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        prepared = Accelerator(cpu=True, mixed_precision="bf16").prepare(model)
        before = prepared.forward
        cme.evaluate(model=prepared, tokenizer=tokenizer, out=tmp_path / "accelerate", **SMALL)
        assert prepared.forward is before
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert responses(tmp_path / "plain") == responses(tmp_path / "autocast") == responses(tmp_path / "accelerate")


def test_an_error_leaves_the_model_and_no_folder(tiny_base, tokenizer, tmp_path):
    model = adapted(tiny_base, "lora", fill=float("inf")).train()
    before = [(name, module.training) for name, module in model.named_modules()]
    required = [w.requires_grad for w in model.parameters()]
    with pytest.raises(cme.CMEError, match="not finite"):
        cme.evaluate(model=model, tokenizer=tokenizer, out=tmp_path / "x", **SMALL)
    assert before == [(name, module.training) for name, module in model.named_modules()]
    assert required == [w.requires_grad for w in model.parameters()]
    assert not (tmp_path / "x").exists()


def test_the_active_one_of_several_adapters_is_evaluated(tiny_base, tokenizer, tmp_path):
    model = adapted(tiny_base, "lora")
    model.add_adapter("other", config("lora"))
    torch.nn.init.normal_(model.get_base_model().model.layers[0].mlp.up_proj.lora_B["other"].weight, std=0.5)
    results = {}
    for name in ("default", "other"):
        model.set_adapter(name)
        before = state(model)
        results[name] = cme.evaluate(model=model, tokenizer=tokenizer, out=tmp_path / name, **SMALL)
        assert_untouched(model, before)
        assert results[name].record.adapter.path == results[name].name == name
    assert len({result.record.adapter.fingerprint for result in results.values()}) == 2
    assert len({result.record.base_fingerprint for result in results.values()}) == 1
    assert responses(tmp_path / "default") != responses(tmp_path / "other")


def test_adapters_that_are_switched_off(tiny_base, tokenizer):
    model = adapted(tiny_base, "lora")
    with model.disable_adapter():
        before = state(model)
        result = cme.evaluate(model=model, tokenizer=tokenizer, **SMALL)
        assert_untouched(model, before)
    assert result.record.adapter is None
    assert result.scores == cme.evaluate(base=str(tiny_base), **SMALL).scores


@pytest.mark.filterwarnings("ignore:Unmerge result can be inaccurate")  # PEFT's, when it takes IA3 out of the base
@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
def test_merged_adapters_stay_merged(tiny_base, tokenizer, kind):
    model = adapted(tiny_base, kind)
    unmerged = cme.evaluate(model=model, tokenizer=tokenizer, **SMALL)
    model.merge_adapter()
    before = state(model)
    merged = cme.evaluate(model=model, tokenizer=tokenizer, **SMALL)
    assert_untouched(model, before)
    assert merged.record.adapter.changes_output and merged.average == pytest.approx(unmerged.average)
    assert merged.record.adapter.fingerprint != unmerged.record.adapter.fingerprint, "rounding is not the same"
    again = cme.evaluate(model=model, tokenizer=tokenizer, **SMALL)
    assert again.record.adapter.fingerprint == merged.record.adapter.fingerprint
    model.unmerge_adapter()


def test_a_merged_and_unloaded_model_is_a_plain_one(tiny_base, tokenizer):
    model = adapted(tiny_base, "lora").merge_and_unload()
    assert cme.evaluate(model=model, tokenizer=tokenizer, **SMALL).record.adapter is None


# torch.compile imports modules of torch that use torch.jit.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_a_compiled_model_is_evaluated_as_it_is_without(tiny_base, tokenizer):
    model = adapted(tiny_base, "lora")
    plain = cme.evaluate(model=model, tokenizer=tokenizer, **SMALL)
    wrapped = torch.compile(model)
    assert cme.evaluate(model=wrapped, tokenizer=tokenizer, **SMALL).scores == plain.scores
    model.compile()
    compiled = model._compiled_call_impl
    assert cme.evaluate(model=model, tokenizer=tokenizer, **SMALL).scores == plain.scores
    assert model._compiled_call_impl is compiled


def test_half_precision_is_the_models_own(tiny_base, tokenizer):
    model = adapted(tiny_base, "lora").to(torch.bfloat16)
    before = state(model)
    result = cme.evaluate(model=model, tokenizer=tokenizer, **SMALL)
    assert_untouched(model, before)
    assert result.record.dtype == "bfloat16"


def test_a_quantised_model(tiny_base, tokenizer):
    """Integer weights with a forward pass of their own, as bitsandbytes has them on a GPU."""
    from transformers import AutoModelForCausalLM

    from tests.adapters.test_quantised import IntegerLinear, replaced

    base = replaced(AutoModelForCausalLM.from_pretrained(tiny_base), IntegerLinear)
    before = state(base)
    result = cme.evaluate(model=base, tokenizer=tokenizer, **SMALL)
    assert_untouched(base, before)
    assert result.record.dtype == "float32", "that of what is computed"
    from peft import get_peft_model

    model = get_peft_model(base, config("teamlora"))
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.3)
        assert weight.dtype == torch.float32 or "proj" in name
    before = state(model)
    assert cme.evaluate(model=model, tokenizer=tokenizer, **SMALL).record.adapter.method == "teamlora"
    assert_untouched(model, before)


def test_two_models_never_share_a_folder(tiny_base, tokenizer, tmp_path, monkeypatch):
    from cme.evaluation.lm_eval_runner import Harness

    def stop(self, *args, **kwargs):
        raise KeyboardInterrupt

    model = adapted(tiny_base, "lora")
    with monkeypatch.context() as patched:
        patched.setattr(Harness, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            cme.evaluate(model=model, tokenizer=tokenizer, out=tmp_path / "x", **SMALL)
    with torch.no_grad():
        weight = model.get_base_model().model.layers[0].mlp.up_proj.lora_B["default"].weight
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    with pytest.raises(UsageError, match="other settings"):
        cme.evaluate(model=model, tokenizer=tokenizer, out=tmp_path / "x", **SMALL)
    with torch.no_grad():
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(-9.0))
    bos = copy.deepcopy(tokenizer)
    bos.backend_tokenizer.post_processor = tiny_tokenizer(adds_bos=True).backend_tokenizer.post_processor
    with pytest.raises(UsageError, match="tokenizer"):
        cme.evaluate(model=model, tokenizer=bos, out=tmp_path / "x", **SMALL)
    tokenizer("a", padding="max_length", max_length=8, truncation=True)  # changes nothing
    cme.evaluate(model=model, tokenizer=tokenizer, out=tmp_path / "x", **SMALL)
    with pytest.raises(UsageError, match="other settings"):
        cme.evaluate(base=str(tiny_base), out=tmp_path / "x", **SMALL)


def test_its_result_cannot_be_submitted(tiny_base, tokenizer, tmp_path):
    result = cme.evaluate(model=adapted(tiny_base, "lora"), tokenizer=tokenizer, out=tmp_path / "x", **SMALL)
    with pytest.raises(UsageError, match=r"in memory, which others cannot evaluate again\. Save the model"):
        cme.submit(result, entries=tmp_path / "entries")
    assert not (tmp_path / "entries").exists()


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and text.endswith(".")


def test_what_cannot_be_evaluated_is_said_in_a_sentence(tiny_base, tokenizer):
    from transformers import AutoModelForCausalLM, T5Config, T5ForConditionalGeneration

    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    with torch.device("meta"):
        hollow = AutoModelForCausalLM.from_config(model.config)
    split = copy.deepcopy(model)
    split.lm_head = torch.nn.Linear(32, 400, bias=False, device="meta")
    small = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 400}
    for arguments, says in (
        ({"model": model}, "a model in memory requires its tokenizer"),
        ({"model": model, "tokenizer": "gpt2"}, "must be a tokenizer of transformers, found str"),
        ({"model": torch.nn.Linear(2, 2), "tokenizer": tokenizer}, "found torch.nn.modules.linear.Linear"),
        ({"model": threading.Lock(), "tokenizer": tokenizer}, "found _thread.lock"),
        ({"model": model.model, "tokenizer": tokenizer}, "is not a causal language model"),
        (
            {"model": T5ForConditionalGeneration(T5Config(**small)), "tokenizer": tokenizer},
            "is not a causal language model",
        ),
        ({"model": hollow, "tokenizer": tokenizer}, "on the device meta"),
        ({"model": split, "tokenizer": tokenizer}, "on the device meta"),
        ({"model": model, "tokenizer": tokenizer, "adapter": "x"}, "adapter cannot be combined with a model in memory"),
        (
            {"model": model, "tokenizer": tokenizer, "device": "cuda", "dtype": "bfloat16"},
            "dtype, device cannot be combined with a model in memory",
        ),
        ({"tokenizer": tokenizer}, "is only for a model in memory"),
    ):
        with pytest.raises(UsageError, match=says) as caught:
            cme.evaluate(**arguments, **SMALL)
        assert one_sentence(caught) or str(caught.value).count(". ") <= 1, str(caught.value)


def test_adapter_layers_without_their_peft_model_are_refused(tiny_base, tokenizer):
    model = adapted(tiny_base, "lora")
    with pytest.raises(UsageError, match="has adapter layers but is not a PeftModel"):
        cme.evaluate(model=model.get_base_model(), tokenizer=tokenizer, **SMALL)


@pytest.mark.parametrize("nothing", ["", [], " , "])
def test_an_empty_list_of_datasets_is_not_the_whole_suite(nothing):
    with pytest.raises(UsageError, match=r"datasets: .* is empty; "):
        cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets=nothing)


def test_datasets_of_a_wrong_type_are_refused_in_a_sentence():
    with pytest.raises(UsageError, match=r"datasets: .*found 3"):
        cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets=3)
