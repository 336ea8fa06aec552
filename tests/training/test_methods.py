"""All kinds of methods are trained, resumed and loaded, and their records are correct."""

import json

import pytest

from cme.adapters import AdapterSettings, load_adapter, settings_from
from cme.adapters.peft_methods import adalora_schedule, read_peft_config
from cme.errors import CMEError, UsageError
from cme.mix import load_mix
from cme.models.load import base_fingerprint, load_model, load_tokenizer
from cme.records.method import method_label
from cme.training import train
from cme.training.checkpoints import FOLDER

from .test_resume import interrupted

ADALORA = AdapterSettings("adalora", rank=4, alpha=8.0)
FULL = AdapterSettings("full")

DORA = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_dora": True}
MISS = {"peft_type": "MISS", "r": 4}


def peft(options, **values):
    return settings_from({"method": "peft", "options": options, **values})


def held_out_loss(model, mix, tokenizer):
    """Compute the mean loss per token of the answers in the mix's validation split, one example at a time."""
    import torch
    import torch.nn.functional as F

    total, count = 0.0, 0
    for row in load_mix(mix, "validation").to_pylist():
        context = tokenizer.encode(f"{row['instruction']}\n{row['input']}\n\nAnswer:")
        answer = tokenizer.encode(f" {row['output']}<end>")
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([context + answer])).logits[0]
        total += float(F.cross_entropy(logits[len(context) - 1 : -1], torch.tensor(answer), reduction="sum"))
        count += len(answer)
    return total / count


def parameters(model):
    return sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize(
    "adapter", [ADALORA, peft(DORA), pytest.param(peft(MISS), marks=pytest.mark.long)], ids=["adalora", "dora", "miss"]
)
def test_a_method_of_pefts_trains_and_is_loaded_as_it_was(settings, base, mix, tmp_path, adapter):
    run = train(settings(steps=20), adapter, out=tmp_path / "run")
    plain = load_model(base, device="cpu")
    assert run.base_parameters == parameters(plain)
    before = held_out_loss(plain, mix, load_tokenizer(base))
    model = load_adapter(plain, tmp_path / "run")
    assert run.validation_loss == pytest.approx(held_out_loss(model, mix, load_tokenizer(base)), rel=1e-4)
    assert run.validation_loss < 0.97 * before
    assert run.method == method_label(adapter.method, adapter.options)
    assert (run.saved_parameters < run.trainable_parameters) == (adapter is ADALORA)


@pytest.mark.parametrize(
    "method",
    ["adamole", "flylora", *(pytest.param(name, marks=pytest.mark.long) for name in ("mola", "comol", "smora"))],
)
def test_a_method_that_selects_experts_resumes_bitwise_and_learns(settings, tmp_path, monkeypatch, method):
    from safetensors.torch import load_file

    given, adapter = settings(steps=20), AdapterSettings(method, rank=16, dropout=0.1)
    interrupted(monkeypatch, given, adapter, tmp_path / "run", step=17)
    run, whole = (train(given, adapter, out=tmp_path / name) for name in ("run", "whole"))
    assert run.interruptions == 1 and run.adapter_fingerprint == whole.adapter_fingerprint
    assert run.losses == whole.losses and run.losses[-1][1] < 0.97 * run.losses[0][1]
    assert run.saved_check.cme < 1e-4 and run.saved_check.peft < 1e-4
    tensors = load_file(tmp_path / "run" / "adapter_model.safetensors")
    biases = [tensor for name, tensor in tensors.items() if name.endswith("lora_b") or name.endswith("smora_b")]
    assert len(biases) == (6 if method in ("smora", "flylora") else 0) and all(bias.any() for bias in biases)


def test_adalora_prunes_to_its_rank_and_the_record_counts_both(settings, tmp_path):
    run = train(settings(steps=20), ADALORA, out=tmp_path / "run")
    config = json.loads((tmp_path / "run" / "adapter_config.json").read_text())
    ranks = [sum(row) for row in config["rank_pattern"].values()]
    assert len(ranks) == 6 and sum(ranks) == 6 * 4 and len(set(ranks)) > 1
    assert (config["init_r"], config["total_step"], config["tinit"], config["tfinal"]) == (6, 20, 2, 10)
    assert config["lora_alpha"] / config["init_r"] == 8 / 4 and config["orth_reg_weight"] == 0.1
    # By hand: six layers of 32 and 64; while training 6 = 1.5 × 4 ranks in each, every rank with a singular value.
    assert run.trainable_parameters == 6 * 6 * (32 + 64 + 1)
    assert run.saved_parameters == 6 * 4 * (32 + 64 + 1)


def test_adalora_trains_the_same_parameters_over_a_base_in_bfloat16(settings, base, mix, tmp_path):
    run = train(settings(steps=20, dtype="bfloat16"), ADALORA, out=tmp_path / "run")
    assert run.trainable_parameters == 6 * 6 * (32 + 64 + 1)
    model = load_adapter(load_model(base, device="cpu"), tmp_path / "run")
    assert run.validation_loss == pytest.approx(held_out_loss(model, mix, load_tokenizer(base)), rel=0.02)


def test_adaloras_orthogonality_term_does_not_grow_with_gradient_accumulation(settings, tmp_path):
    def first_loss(name, weight, **changes):
        adapter = AdapterSettings("adalora", rank=4, options={"orth_reg_weight": weight})
        return train(settings(steps=6, **changes), adapter, out=tmp_path / name).losses[0][1]

    split, whole = {"batch_size": 2, "gradient_accumulation": 4}, {"batch_size": 8}
    terms = [first_loss(f"{n}1", 10.0, **way) - first_loss(f"{n}0", 0.0, **way) for n, way in enumerate((split, whole))]
    assert terms[0] == pytest.approx(terms[1], rel=1e-3) and terms[0] > 1


def test_the_auxiliary_loss_of_shadow_is_the_mean_of_its_passes_and_not_validated(settings, tmp_path):
    def run(name, weight, **changes):
        adapter = peft({"peft_type": "SHADOW", "shadow_dropout": 0.0, "auxiliary_loss_weight": weight})
        return train(settings(steps=2, **changes), adapter, out=tmp_path / name)

    split, whole = {"batch_size": 2, "gradient_accumulation": 4}, {"batch_size": 8}
    runs = [(run(f"{n}1", 1.0, **way), run(f"{n}0", 0.0, **way)) for n, way in enumerate((split, whole))]
    terms = [added.losses[0][1] - plain.losses[0][1] for added, plain in runs]
    assert terms[0] == pytest.approx(terms[1], rel=0.05) and terms[0] > 1
    # The validation loss is that of the labels, which is near for weights that took two steps.
    assert runs[0][0].validation_loss == pytest.approx(runs[0][1].validation_loss, abs=0.5)
    assert json.loads((tmp_path / "01" / "adapter_config.json").read_text())["auxiliary_loss_weight"] == 1.0


@pytest.mark.parametrize("step", [7, 17], ids=["pruning", "last phase"])
def test_adalora_goes_on_after_an_interruption(settings, tmp_path, monkeypatch, step):
    given, out = settings(steps=20, save_every=6 if step == 7 else 16), tmp_path / "run"
    interrupted(monkeypatch, given, ADALORA, out, step=step)
    run, whole = train(given, ADALORA, out=out), train(given, ADALORA, out=tmp_path / "whole")
    assert run.interruptions == 1 and run.losses == whole.losses
    assert run.adapter_fingerprint == whole.adapter_fingerprint


def test_a_checkpoint_without_the_allocators_state_is_not_used(settings, tmp_path, monkeypatch):
    given, out = settings(steps=20, save_every=6), tmp_path / "run"
    interrupted(monkeypatch, given, ADALORA, out, step=7)
    (out / FOLDER / "checkpoint-6" / "allocator.safetensors").unlink()
    assert train(given, ADALORA, out=out).interruptions == 0


def test_adalora_that_prunes_nothing_is_no_result(settings, tmp_path, monkeypatch):
    from peft.tuners.adalora import AdaLoraModel

    monkeypatch.setattr(AdaLoraModel, "update_and_allocate", lambda self, step: None)
    with pytest.raises(CMEError, match="AdaLoRA has pruned no rank"):
        train(settings(steps=6), ADALORA, out=tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("options", "steps", "says"),
    [
        ({}, 2, "at least 3 steps to prune ranks, but the run has 2"),
        ({"tinit": 5, "tfinal": 5}, 10, "which leaves none of the 10 steps"),
        ({"init_r": 4}, 10, r"init_r must be above the rank after pruning \(4\), but is 4"),
    ],
)
def test_a_schedule_that_cannot_be(settings, tmp_path, options, steps, says):
    with pytest.raises(UsageError, match=says):
        train(settings(steps=steps), AdapterSettings("adalora", rank=4, options=options), out=tmp_path / "run")


def test_the_schedule_has_the_shares_of_the_authors_scripts():
    assert adalora_schedule(86_000) == {"tinit": 8_600, "tfinal": 43_000, "deltaT": 86, "total_step": 86_000}


def test_full_fine_tuning_gives_a_model_folder(settings, base, mix, tmp_path, monkeypatch):
    out = tmp_path / "run"
    given = settings(steps=20, learning_rate=2e-3, dtype="bfloat16")
    interrupted(monkeypatch, given, FULL, out, step=8)
    run, whole = train(given, FULL, out=out), train(given, FULL, out=tmp_path / "whole")
    assert run.interruptions == 1 and run.losses == whole.losses
    assert run.adapter_fingerprint == whole.adapter_fingerprint == base_fingerprint(out) != base_fingerprint(base)
    assert run.trainable_share == 100 and run.trainable_parameters == run.saved_parameters == run.base_parameters
    assert run.base_parameters == parameters(load_model(base, device="cpu")) and run.method == "full"
    assert {"config.json", "model.safetensors", "tokenizer.json", "run.json"} <= {path.name for path in out.iterdir()}
    assert not list(out.glob("**/*.pt")) and str(base) not in (out / "config.json").read_text()

    before, after = (json.loads((folder / "config.json").read_text()) for folder in (base, out))
    assert {key for key in before.keys() | after if before.get(key) != after.get(key)} <= {"transformers_version"}

    from safetensors.torch import load_file

    assert {str(tensor.dtype) for tensor in load_file(out / "model.safetensors").values()} == {"torch.float32"}
    model, tokenizer = load_model(out, device="cpu"), load_tokenizer(out)
    assert run.validation_loss == pytest.approx(held_out_loss(model, mix, tokenizer), rel=0.02)  # bfloat16 products
    assert run.validation_loss < 0.9 * held_out_loss(load_model(base, device="cpu"), mix, tokenizer)


def test_a_fully_trained_model_is_evaluated_as_a_base(settings, tmp_path):
    from cme.evaluation.run import evaluate
    from cme.evaluation.settings import EvalSettings

    run = train(settings(steps=2), FULL, out=tmp_path / "run")
    options = {"tier": "smoke", "source": "mini", "datasets": ("qqp",), "device": "cpu"}
    result = evaluate(EvalSettings(base=str(tmp_path / "run"), **options), tmp_path / "result")
    assert result.base_fingerprint == run.adapter_fingerprint and result.scores.datasets


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "peft_type is missing. It must be one of ADALORA"),
        ({"peft_type": "LORRA"}, r"unknown peft_type 'LORRA' \(did you mean '\w*LORA'\?\)"),
        ({"peft_type": "LORA", "use_dorra": True}, r"unknown option 'use_dorra' \(did you mean 'use_dora'\?\)"),
        ({"peft_type": "LORA", "r": 0, "use_rslora": True}, None),
        ({"peft_type": "MISS", "target_modules": ["x"]}, "unknown option 'target_modules'"),
        ({"peft_type": "PREFIX_TUNING"}, "PREFIX_TUNING is a prompt learning method.*Use a method that adapts layers"),
        ({"peft_type": "XLORA"}, "XLORA combines existing adapters"),
        (
            {"peft_type": "ADALORA"},
            "ADALORA is available as the method 'adalora' of CME. Use that method instead of 'peft'",
        ),
        (
            {"peft_type": "TEAMLORA"},
            "TEAMLORA is available as the method 'teamlora' of CME. Use that method instead of 'peft'",
        ),
        ({"peft_type": "LORA", "init_lora_weights": "eva"}, "init_lora_weights 'eva' needs a pass over data"),
        ({"peft_type": "VBLORA", "topk": "x", "vector_length": 0}, None),
        ({"peft_type": "IA3", "feedforward_modules": 3}, None),
    ],
)
def test_unsupported_peft_settings_are_refused(options, says, settings, tmp_path):
    if says is not None:
        with pytest.raises(UsageError, match=f"options: {says}"):
            peft(options)
        return
    with pytest.raises(UsageError):
        train(settings(steps=2), peft(options), out=tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (DORA, "dora"),
        (MISS, "miss"),
        ({"peft_type": "LORA"}, "lora"),
        ({"peft_type": "LORA", "use_rslora": True, "init_lora_weights": "pissa"}, "rslora-pissa"),
    ],
)
def test_a_method_of_pefts_has_a_name_of_its_own(options, name):
    assert method_label("peft", options) == name and method_label("lora", {}) == "lora"


def test_a_saved_configuration_can_be_trained_again(settings, tmp_path):
    train(settings(steps=2), peft(DORA, target_modules=["up_proj"]), out=tmp_path / "run")
    read = settings_from(read_peft_config(tmp_path / "run" / "adapter_config.json"))
    assert read.target_modules == ("up_proj",) and read.options["use_dora"] and read.options["r"] == 4
    again = train(settings(steps=2), read, out=tmp_path / "again")
    assert again.method == "dora" and again.trainable_parameters == 2 * (4 * 96 + 64)


@pytest.mark.parametrize(
    ("text", "says"), [("a: [", "not valid YAML"), ("3", "must be a mapping"), (None, "does not exist")]
)
def test_a_peft_configuration_that_cannot_be_read(tmp_path, text, says):
    if text is not None:
        (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UsageError, match=says):
        read_peft_config(tmp_path / "x.yaml")
