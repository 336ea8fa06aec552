"""Adapters of every method are switched, disabled, deleted, merged or refused, saved and loaded with PEFT."""

import pytest
import torch
from peft import PeftModel

from cme.errors import AdapterError
from tests.adapters.conftest import layers, logits, make_base, make_config, of_adapter, randomise
from tests.adapters.variants import METHODS, RANKWISE, ROUTED, every_method, every_variant, routed_variants

mergeable = pytest.mark.parametrize("method", [method for method in METHODS if method not in ROUTED])


def second(method, **fields):
    """Create the configuration of a second adapter. AdaLoRA can train only one adapter at a time."""
    more = {"r": 8} if method in RANKWISE else {"experts": 2} if method in ROUTED else {}
    return make_config(method, **more, inference_mode=method == "adalora", **fields)


@every_variant
def test_disabled_the_base_is_back(base, adapted, tokens, method, fields):
    model = adapted(method, **fields)
    with model.disable_adapter():
        assert torch.equal(logits(model, tokens), logits(base, tokens))
    assert not torch.equal(logits(model, tokens), logits(base, tokens))


@every_variant
def test_two_adapters_switch_and_one_is_deleted(base, adapted, tokens, method, fields):
    model = adapted(method, **fields)
    first = logits(model, tokens)
    model.add_adapter("second", second(method))
    assert torch.equal(logits(model, tokens), first)
    model.set_adapter("second")
    assert torch.equal(logits(model, tokens), logits(base, tokens))
    model.set_adapter("default")
    assert torch.equal(logits(model, tokens), first)
    model.set_adapter("second")
    model.delete_adapter("default")
    assert not any("default" in name for name, _ in model.named_parameters())
    assert torch.equal(logits(model, tokens), logits(base, tokens))


@every_method
def test_two_active_adapters_add_up(adapted, method):
    model = adapted(method)
    model.add_adapter("second", second(method))
    randomise(model, seed=7)
    layer, x = layers(model)[0], torch.randn(3, 24)
    outputs = {}
    for names in (["default"], ["second"], ["default", "second"]):
        layer.set_adapter(names)
        outputs[len(names), names[0]] = layer(x) - layer.base_layer(x)
    torch.testing.assert_close(outputs[2, "default"], outputs[1, "default"] + outputs[1, "second"])


@every_variant
def test_unload_gives_the_base_back(base, adapted, tokens, method, fields):
    plain = adapted(method, **fields).unload()
    assert not layers(plain)
    assert torch.equal(logits(plain, tokens), logits(base, tokens))


@routed_variants
@pytest.mark.parametrize("merge", ["merge_and_unload", "merge_adapter"])
def test_merging_a_routed_method_is_refused_and_says_why(adapted, tokens, method, fields, merge):
    model = adapted(method, **fields)
    before = logits(model, tokens)
    with pytest.raises(AdapterError, match=r"gate weights differ for every token.*unload\(\)"):
        getattr(model, merge)()
    with pytest.raises(AdapterError, match="cannot be merged"):
        layers(model)[0].merge()
    assert torch.equal(logits(model, tokens), before)


@mergeable
@pytest.mark.parametrize("safe", [False, True])
def test_merged_it_is_a_base_model_with_the_same_outputs(adapted, tokens, method, safe):
    model = adapted(method)
    before = logits(model, tokens)
    merged = model.merge_and_unload(safe_merge=safe)
    assert not layers(merged) and not any(map(of_adapter, dict(merged.named_parameters())))
    torch.testing.assert_close(logits(merged, tokens), before, rtol=0, atol=1e-4)


@mergeable
def test_merged_in_place_it_is_taken_out_again(base, adapted, tokens, method):
    model = adapted(method)
    before = logits(model, tokens)
    model.merge_adapter()
    assert all(layer.merged for layer in layers(model))
    torch.testing.assert_close(logits(model, tokens), before, rtol=0, atol=1e-4)
    model.unmerge_adapter()
    torch.testing.assert_close(logits(model, tokens), before, rtol=0, atol=1e-4)
    model.merge_adapter()
    with model.disable_adapter():
        torch.testing.assert_close(logits(model, tokens), logits(base, tokens), rtol=0, atol=1e-4)


@every_variant
@pytest.mark.parametrize("name", ["default", "other"])
@pytest.mark.parametrize("low", [False, True], ids=["", "low_cpu_mem_usage"])
def test_loading_gives_the_same_outputs_under_any_name(adapted, tokens, tmp_path, method, fields, name, low):
    model = adapted(method, **fields)
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(make_base(), tmp_path, adapter_name=name, low_cpu_mem_usage=low)
    assert torch.equal(logits(again, tokens), logits(model, tokens))
    assert not any(weight.is_meta for weight in again.parameters())


@every_variant
def test_transformers_loads_it_without_peft_model(adapted, tokens, tmp_path, method, fields):
    model = adapted(method, **fields)
    model.save_pretrained(tmp_path)
    base = make_base()
    report = base.load_adapter(str(tmp_path))
    # AdaLoRA's number of ranks is made, not saved; PEFT's own loading does not count it as missing.
    assert not {key for key in report.missing_keys if ".ranknum." not in key} and not report.unexpected_keys
    assert torch.equal(logits(base, tokens), logits(model, tokens))


@every_variant
def test_modules_to_save_come_along(adapted, tokens, tmp_path, method, fields):
    model = adapted(method, modules_to_save=["lm_head"], **fields)
    with torch.no_grad():
        model.base_model.model.lm_head.modules_to_save["default"].weight.mul_(2)
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(make_base(), tmp_path)
    assert torch.equal(logits(again, tokens), logits(model, tokens))
