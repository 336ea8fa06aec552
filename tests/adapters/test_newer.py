"""Adapters of other versions: settings that this version does not know, and AdaLoRA's pruned ranks."""

import warnings

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file

from cme.adapters import load_adapter
from cme.errors import AdapterError, CMEWarning
from tests.adapters.conftest import logits, make_base, make_config, randomise
from tests.adapters.test_load import edit_config, refused
from tests.adapters.variants import OWN


@pytest.fixture
def saved(adapted, tmp_path):
    def make(method):
        adapted(method).save_pretrained(tmp_path)
        return tmp_path

    return make


@pytest.mark.parametrize("method", OWN)
def test_a_setting_of_a_newer_version_is_refused(saved, method):
    folder = saved(method)
    edit_config(folder, warmth=None, gate_noise=0.1)
    message = refused(folder)
    assert f"{method.upper()} has no setting gate_noise, warmth in this version of the package cme-bench, " in message
    assert str(folder / "adapter_config.json") in message and message.endswith("Upgrade: pip install -U cme-bench")
    with pytest.raises(AdapterError, match="has no setting gate_noise, warmth"):
        PeftModel.from_pretrained(make_base(), folder)


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_a_newer_peft_wrote_settings_that_this_one_leaves_out(adapted, saved, tokens, method):
    folder = saved(method)
    edit_config(folder, use_new=False, extra_modules=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CMEWarning)
        assert torch.equal(logits(load_adapter(make_base(), folder), tokens), logits(adapted(method), tokens))
    edit_config(folder, use_new=True, shift=0.5, peft_version="0.99.1")
    with pytest.warns(
        CMEWarning, match=r"ignores shift=0.5, use_new=True, which it does not know for .*LORA.*saved by PEFT 0\.99\.1"
    ) as caught:
        load_adapter(make_base(), folder)
    assert not any("Unexpected keyword" in str(item.message) for item in caught)


def pruned_adalora(tokens):
    """Train an AdaLoRA adapter until PEFT's allocator has removed ranks permanently."""
    steps = 8
    config = make_config("adalora", init_r=4, target_r=2, tinit=1, tfinal=3, deltaT=1, total_step=steps)
    torch.manual_seed(3)
    model = get_peft_model(make_base(), config)
    randomise(model)
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    for step in range(steps):
        model.train()(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        model.base_model.update_and_allocate(step)
        optimizer.zero_grad()
    return model.eval()


def test_pruned_adalora_as_peft_saves_it(tokens, tmp_path):
    model = pruned_adalora(tokens)
    ranks = {name: sum(kept) for name, kept in model.peft_config["default"].rank_pattern.items()}
    assert len(ranks) == 6 and sum(ranks.values()) == 6 * 2 and len(set(ranks.values())) > 1
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert {len(tensor) for name, tensor in tensors.items() if name.endswith("lora_E")} == set(ranks.values())
    again = load_adapter(make_base(), tmp_path)
    torch.testing.assert_close(logits(again, tokens), logits(model, tokens), rtol=0, atol=1e-5)
    first = min(ranks)
    edit_config(tmp_path, rank_pattern=model.peft_config["default"].rank_pattern | {first: [True] * 7})
    assert f"rank_pattern lists 7 ranks for {first}" in refused(tmp_path)
