"""Checks at the end of a run: training changed parameters in float32, and the saved weights are the trained ones."""

import json
import warnings

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from cme.adapters import AdapterSettings, load_adapter, settings_from
from cme.adapters.peft_methods import read_peft_config
from cme.errors import CMEError, CMEWarning, UsageError
from cme.models.load import load_model
from cme.records import Run, read_record
from cme.training import train
from cme.training.verify import check_saved, checksums


def peft(**options):
    return settings_from({"method": "peft", "options": options})


@pytest.mark.parametrize("method", ["lora", "teamlora", "adalora", "full"])
def test_the_record_says_what_was_checked(settings, tmp_path, method):
    run = train(settings(), AdapterSettings(method, rank=2), out=tmp_path / "run")
    assert read_record(tmp_path / "run" / "run.json", Run) == run
    check = run.saved_check
    assert 0 < check.changed == check.trainable
    assert check.effect > 1e-3 and check.cme < 1e-5
    assert check.peft is None if method == "full" else check.peft < 1e-5


def test_a_record_without_the_check_is_read(settings, tmp_path):
    train(settings(), AdapterSettings("lora", rank=2), out=tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    values = json.loads(path.read_text())
    del values["saved_check"]
    path.write_text(json.dumps(values))
    assert read_record(path, Run).saved_check is None


@pytest.mark.parametrize("start", ["pissa_niter_4", "pissa", "olora"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_start_that_changes_the_base_is_saved_as_it_was_trained(settings, tmp_path, start, dtype):
    adapter = peft(peft_type="LORA", r=4, init_lora_weights=start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = train(settings(dtype=dtype), adapter, out=tmp_path / "run")
    check = run.saved_check
    limit = 1e-5 if dtype == "float32" else 0.03
    assert max(check.cme, check.peft) < min(limit, check.effect / 2)
    values = json.loads((tmp_path / "run" / "adapter_config.json").read_text())
    assert values["init_lora_weights"] is True and values["r"] == 8
    assert run.adapter.options["init_lora_weights"] == start and run.saved_parameters == 2 * run.trainable_parameters


def test_an_interrupted_run_is_converted_from_the_start_of_the_first(settings, tmp_path, monkeypatch):
    adapter = peft(peft_type="LORA", r=4, init_lora_weights="pissa_niter_4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = train(settings(), adapter, out=tmp_path / "whole")
        monkeypatch.setattr("cme.training.model.save_adapter", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(settings(), adapter, out=tmp_path / "run")
        monkeypatch.undo()
        again = train(settings(), adapter, out=tmp_path / "run")
    assert again.interruptions == 1 and again.saved_check.cme < 1e-5
    first, second = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "run"))
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=1e-4, atol=1e-5)
    assert again.losses[-1] == pytest.approx(whole.losses[-1], rel=1e-4)


@pytest.mark.parametrize(
    "adapter",
    [
        {"peft_type": "LN_TUNING"},
        {"peft_type": "LORA", "r": 2, "modules_to_save": ["norm"]},
        {"peft_type": "LORA", "r": 2, "trainable_token_indices": list(range(2, 300))},
    ],
    ids=["norms", "a whole module", "tokens"],
)
def test_small_steps_are_not_lost_in_bfloat16(settings, tmp_path, adapter):
    """In bfloat16 the smallest change of a weight near 1 is 1/128. The steps of this test are a thousandth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = train(
            settings(dtype="bfloat16", learning_rate=1e-4, steps=8, warmup=0.0), peft(**adapter), out=tmp_path / "run"
        )
    assert run.saved_check.changed == run.saved_check.trainable
    saved = load_file(tmp_path / "run" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    norms = [tensor for name, tensor in saved.items() if "norm" in name]
    assert all(0 < float((tensor - 1).abs().max()) < 1 / 256 for tensor in norms)


@pytest.mark.parametrize("method", ["lora", "teamlora", "full"])
def test_a_run_that_changed_nothing_is_refused(settings, tmp_path, method):
    # Gradients that are clipped to this norm are 0 in float32.
    with pytest.raises(CMEError, match=r"training changed none of the \d+ trainable parameters.*Train for more steps"):
        train(settings(steps=1, max_grad_norm=1e-300), AdapterSettings(method, rank=2), out=tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_what_is_saved_wrongly_is_refused(settings, base, tmp_path):
    """Wrong saved weights are detected: halved weights, an empty adapter, and another adapter."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(load_model(base), LoraConfig(r=2, target_modules=["up_proj"], init_lora_weights=False))
    batch = {"input_ids": torch.arange(4, 24).view(2, 10), "attention_mask": torch.ones(2, 10, dtype=torch.long)}
    model.save_pretrained(tmp_path)
    assert check_saved(model, base, tmp_path, batch, dtype="float32", counts=(4, 4)).cme < 1e-6
    for factor in (0.5, 0.0, -1.0):
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.mul_(factor)
        model.save_pretrained(tmp_path)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.normal_(std=0.3)
        with pytest.raises(CMEError, match=r"the saved weights differ from the trained ones\. Loaded with PEFT"):
            check_saved(model, base, tmp_path, batch, dtype="float32", counts=(4, 4))


@pytest.fixture
def weak(base, tmp_path):
    """A saved adapter in bfloat16 whose effect on the logits is about 1 % of their spread, with a batch."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    base_model = load_model(base, dtype="bfloat16")
    model = get_peft_model(base_model, LoraConfig(r=2, target_modules=["up_proj"], init_lora_weights=False))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.mul_(0.02)
    model.save_pretrained(tmp_path)
    batch = {"input_ids": torch.arange(4, 24).view(2, 10), "attention_mask": torch.ones(2, 10, dtype=torch.long)}
    return model, batch


def roughly(monkeypatch, change):
    """Change all logits that are computed in bfloat16, as other rounding would."""
    from cme.training import verify

    exact = verify._logits
    monkeypatch.setattr(
        verify,
        "_logits",
        lambda model, batch, dtype: (
            change(exact(model, batch, dtype)) if dtype == "bfloat16" else exact(model, batch, dtype)
        ),
    )


def noisy(logits):
    return logits + 0.02 * logits.std() * torch.randn_like(logits)


def scale(model, factor):
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.mul_(factor)


def test_rounding_is_not_taken_for_other_weights(weak, base, tmp_path, monkeypatch):
    """AdaLoRA is loaded without its pruned ranks, so PEFT's sums differ by more than a weak adapter changes them."""
    model, batch = weak
    roughly(monkeypatch, noisy)
    kept = {name: (weight.dtype, weight.clone()) for name, weight in model.named_parameters()}
    check = check_saved(model, base, tmp_path, batch, dtype="bfloat16", counts=(4, 4))
    assert 1e-3 < check.effect < 0.05 and max(check.cme, check.peft) < 1e-6
    for name, weight in model.named_parameters():
        assert weight.dtype is kept[name][0] and torch.equal(weight, kept[name][1])


def test_other_weights_are_not_taken_for_rounding(weak, base, tmp_path, monkeypatch):
    model, batch = weak
    roughly(monkeypatch, noisy)
    scale(model, 3.0)
    with pytest.raises(CMEError, match=r"the saved weights differ from the trained ones\. Loaded with PEFT"):
        check_saved(model, base, tmp_path, batch, dtype="bfloat16", counts=(4, 4))


def short_of_memory(monkeypatch, dtype):
    """Let one kind of comparison not fit into the memory."""
    from cme.training import verify

    exact = verify._logits

    def fails(model, batch, kind):
        if kind == dtype:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return exact(model, batch, kind)

    monkeypatch.setattr(verify, "_logits", fails)


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (
            "bfloat16",
            "the saved adapter was not checked, because there is not enough memory for a second copy of the base",
        ),
        (
            "float32",
            "by no more than rounding to bfloat16 may cause. There is not enough memory to compare them in float32",
        ),
    ],
)
def test_a_check_without_enough_memory_says_so(weak, base, tmp_path, monkeypatch, dtype, text):
    model, batch = weak
    roughly(monkeypatch, noisy)
    short_of_memory(monkeypatch, dtype)
    with pytest.warns(CMEWarning, match=text):
        assert check_saved(model, base, tmp_path, batch, dtype="bfloat16", counts=(4, 4)) is None
    assert {weight.dtype for name, weight in model.named_parameters() if "lora" not in name} == {torch.bfloat16}


def test_wrong_weights_are_refused_without_the_memory_for_float32(weak, base, tmp_path, monkeypatch):
    model, batch = weak
    short_of_memory(monkeypatch, "float32")
    scale(model, 30.0)
    with pytest.raises(CMEError, match=r"the saved weights differ from the trained ones\. Loaded with PEFT"):
        check_saved(model, base, tmp_path, batch, dtype="bfloat16", counts=(4, 4))


def test_weak_full_fine_tuning_in_bfloat16_is_saved(settings, tmp_path, monkeypatch):
    """All weights are trained and saved in float32, whatever the dtype of the products."""
    roughly(monkeypatch, noisy)
    run = train(
        settings(dtype="bfloat16", learning_rate=2e-5, steps=4, warmup=0.0),
        AdapterSettings("full"),
        out=tmp_path / "run",
    )
    assert 0 < run.saved_check.effect < 0.06 and run.saved_check.cme < 1e-6


def test_the_trainers_autocast_is_left_out_of_the_check(settings, tmp_path, monkeypatch):
    """The Trainer's wrapper computes in bfloat16 wherever it is called. In float32, the saved adapter has equal logits."""
    from cme.training import verify

    roughly(monkeypatch, noisy)
    asked, exact = [], verify._logits

    def spy(model, batch, dtype):
        asked.append(dtype)
        return exact(model, batch, dtype)

    monkeypatch.setattr(verify, "_logits", spy)
    adapter = AdapterSettings("adalora", rank=16)
    run = train(settings(dtype="bfloat16", learning_rate=3e-3, steps=8, warmup=0.0), adapter, out=tmp_path / "run")
    assert "float32" in asked
    assert 1e-4 < run.saved_check.effect < 0.05
    assert max(run.saved_check.cme, run.saved_check.peft) < 0.01 * run.saved_check.effect


def test_the_checksums_see_a_change_of_one_bit():
    model = torch.nn.Linear(3, 2)
    before = checksums(model)
    with torch.no_grad():
        model.weight.view(torch.int32)[1, 2] ^= 1
    assert checksums(model)["weight"] != before["weight"] and checksums(model)["bias"] == before["bias"]


def test_settings_of_a_peft_config_file_are_applied(settings, base, tmp_path):
    file = tmp_path / "adapter.yaml"
    file.write_text(
        "peft_type: LORA\nr: 4\nlora_alpha: 8\ntask_type: CAUSAL_LM\nrank_pattern: {up_proj: 16}\n"
        "alpha_pattern: {up_proj: 8}\n"
    )
    train(settings(), settings_from(read_peft_config(file)), out=tmp_path / "run")
    for load in (load_adapter, PeftModel.from_pretrained):
        layer = load(load_model(base), tmp_path / "run").base_model.model.model.layers[0].mlp.up_proj
        assert (layer.r["default"], layer.scaling["default"]) == (16, 0.5)


def test_a_file_for_another_task_is_refused(tmp_path):
    file = tmp_path / "adapter.yaml"
    file.write_text("peft_type: LORA\ntask_type: SEQ_CLS\n")
    with pytest.raises(UsageError, match="task_type is 'SEQ_CLS', but CME trains language models"):
        read_peft_config(file)


@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_a_start_with_fewer_ranks_than_the_settings_is_refused_before_training(settings, tmp_path, start):
    adapter = peft(peft_type="LORA", r=48, lora_alpha=48, init_lora_weights=start)
    with pytest.raises(
        UsageError, match=r"the rank 48 is larger than the smaller dimension of .*, which is 32, and this"
    ):
        train(settings(), adapter, out=tmp_path / "run")
