"""A whole run has the losses of a plain loop, a correct record, and a folder with the files that users share."""

import json
import warnings

import pytest

from cme.adapters import AdapterSettings, adapter_fingerprint, check_effect, load_adapter
from cme.errors import CMEError, UsageError
from cme.mix import load_mix, read_manifest
from cme.models.load import base_fingerprint, load_model, load_tokenizer
from cme.records import Run, read_record, write_record
from cme.records.manifest import MixDataset
from cme.training import load_recipe, train
from cme.workdir import is_finished


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def by_hand(settings, adapter, base, mix):
    """Train with a plain PyTorch loop over the same examples, and return the losses and the adapter's weights."""
    import torch
    import torch.nn.functional as F
    from peft import get_peft_model_state_dict

    from cme.training.model import adapted_model
    from cme.training.order import training_order

    tokenizer = load_tokenizer(base)
    texts = [
        (f"{row['instruction']}\n{row['input']}\n\nAnswer:", f" {row['output']}<end>")
        for row in load_mix(mix, "train").to_pylist()
    ]
    ids = [tokenizer.encode(context) + tokenizer.encode(answer) for context, answer in texts]
    answers = [len(tokenizer.encode(answer)) for _, answer in texts]
    per_step = settings.batch_size * settings.gradient_accumulation
    import numpy as np

    order = training_order(np.array([len(item) for item in ids], np.int32), settings.steps, per_step, settings.seed)
    model, _ = adapted_model(base, adapter, dtype="float32", device="cpu", seed=settings.seed, steps=settings.steps)
    model.train()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=settings.learning_rate, weight_decay=0.0
    )
    losses = []
    for step in range(settings.steps):
        total, count = torch.zeros(()), 0
        for index in order[step * per_step : (step + 1) * per_step]:
            logits = model(input_ids=torch.tensor([ids[index]])).logits[0]
            first = len(ids[index]) - answers[index]
            total = total + F.cross_entropy(logits[first - 1 : -1], torch.tensor(ids[index][first:]), reduction="sum")
            count += answers[index]
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(total.detach() / count))
    return losses, get_peft_model_state_dict(model)


@pytest.mark.parametrize("method", ["lora", "teamlora"])
def test_losses_and_weights_equal_those_of_a_hand_made_loop(settings, base, mix, tmp_path, method):
    given = settings(steps=4, batch_size=3, gradient_accumulation=2, schedule="constant", warmup=0.0)
    adapter = AdapterSettings(method, rank=4)
    run = train(given, adapter, out=tmp_path / "run")
    losses, state = by_hand(given, adapter, base, mix)
    assert [step for step, _ in run.losses] == [1, 2, 3, 4]
    assert [loss for _, loss in run.losses] == pytest.approx(losses, rel=1e-5)
    saved = weights(tmp_path / "run")
    assert saved.keys() == state.keys()
    for name, tensor in state.items():
        assert tensor.numpy() == pytest.approx(saved[name].numpy(), abs=2e-5), name


def test_the_loss_is_the_same_with_logits_for_every_token(settings, tmp_path, monkeypatch):
    sparse = train(settings(), AdapterSettings("lora"), out=tmp_path / "sparse")
    monkeypatch.setattr("cme.training.collate.takes_sparse_logits", lambda model: False)
    dense = train(settings(), AdapterSettings("lora"), out=tmp_path / "dense")
    assert [loss for _, loss in sparse.losses] == pytest.approx([loss for _, loss in dense.losses], rel=1e-5)
    assert sparse.validation_loss == pytest.approx(dense.validation_loss, rel=1e-5)


def test_a_run_learns_and_its_record_and_folder_are_true(settings, base, mix, tmp_path, capfd):
    out = tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = train(settings(steps=60, prompt_format="plain"), AdapterSettings("teamlora", rank=4), out=out)
    assert capfd.readouterr() == ("", "")
    first, last = (sum(loss for _, loss in part) / 10 for part in (run.losses[:10], run.losses[-10:]))
    assert last < 0.8 * first and run.validation_loss < 0.8 * first

    assert sorted(path.name for path in out.iterdir()) == [
        ".cme.json",
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "config.yaml",
        "curve.csv",
        "curve.svg",
        "run.json",
    ]
    assert is_finished(out)
    assert read_record(out / "run.json", Run).losses == run.losses
    training, adapter = load_recipe(out / "config.yaml")
    assert training.steps == 60 and adapter.experts == 4

    assert (run.method, run.steps, run.examples, run.world_size, run.interruptions) == ("teamlora", 60, 240, 1, 0)
    assert run.base_fingerprint == base_fingerprint(base)
    assert run.mix_fingerprint == read_manifest(mix).fingerprint
    assert run.adapter_fingerprint == adapter_fingerprint(out)
    # By hand: 2 layers × (gate, up: 32 → 64; down: 64 → 32), R = 16, k = 4: R(d+m) + kd + k².
    assert run.trainable_parameters == 2 * (3 * 16 * 96 + 4 * (32 + 32 + 64) + 3 * 16)
    assert run.base_parameters == sum(p.numel() for p in load_model(base, device="cpu").parameters())
    assert run.trainable_share == 100 * run.trainable_parameters / run.base_parameters
    tokenizer = load_tokenizer(base)
    rows = load_mix(mix, "train").to_pylist()
    each = [len(tokenizer.encode(f"{r['instruction']}\n{r['input']}\n\nAnswer: {r['output']}<end>")) for r in rows]
    assert run.tokens == 2 * sum(each)  # 240 examples of 120 rows: two epochs
    assert run.tokens_per_second == pytest.approx(run.tokens / run.wall_seconds)
    assert run.peak_memory_bytes > 10**8 and run.started <= run.finished and run.dropped == {} and run.cut == 0

    model = load_adapter(load_model(base, device="cpu"), out)
    assert check_effect(model, tokenizer("The ball is", return_tensors="pt").input_ids) > 0.01


def test_bfloat16_computes_in_bfloat16_and_keeps_the_adapter_in_float32(settings, tmp_path):
    import torch

    exact = train(settings(), AdapterSettings("teamlora"), out=tmp_path / "exact")
    run = train(settings(dtype="bfloat16"), AdapterSettings("teamlora"), out=tmp_path / "run")
    assert run.dtype == "bfloat16" and {tensor.dtype for tensor in weights(tmp_path / "run").values()} == {
        torch.float32
    }
    assert [loss for _, loss in run.losses] == pytest.approx([loss for _, loss in exact.losses], rel=0.02)
    assert run.losses != exact.losses


@pytest.mark.parametrize("method", ["lora", "moelora", "hydralora", "teamlora", "mola", "smora"])
def test_gradient_checkpointing_changes_nothing(settings, tmp_path, method):
    plain = train(settings(steps=5), AdapterSettings(method), out=tmp_path / "plain")
    saving = train(settings(steps=5, gradient_checkpointing=True), AdapterSettings(method), out=tmp_path / "saving")
    assert [loss for _, loss in saving.losses] == pytest.approx([loss for _, loss in plain.losses], rel=1e-5)


def test_the_balance_term_does_not_grow_with_gradient_accumulation(settings, tmp_path):
    def first_loss(name, weight, **changes):
        adapter = AdapterSettings("teamlora", balance_weight=weight)
        return train(settings(steps=1, warmup=0.0, **changes), adapter, out=tmp_path / name).losses[0][1]

    split, whole = {"batch_size": 2, "gradient_accumulation": 4}, {"batch_size": 8}
    parts = first_loss("a", 100.0, **split) - first_loss("b", 0.0, **split)
    once = first_loss("c", 100.0, **whole) - first_loss("d", 0.0, **whole)
    assert 0 < once < parts < 1.5 * once  # smaller batches are a little less balanced; four times would be the fault


def test_training_on_the_prompt_is_another_loss(settings, tmp_path):
    answer = train(settings(steps=1, warmup=0.0), AdapterSettings("lora"), out=tmp_path / "answer")
    prompt = train(
        settings(steps=1, warmup=0.0, train_on_prompt=True), AdapterSettings("lora"), out=tmp_path / "prompt"
    )
    assert answer.losses != prompt.losses and prompt.training.train_on_prompt is True


def test_a_diverging_run_stops_with_the_step_and_the_remedy(settings, tmp_path):
    with pytest.raises(
        CMEError, match=r"training diverged: the \w+ is (nan|inf) in steps? \d.*Lower the learning rate"
    ):
        train(settings(learning_rate=1e38, logging_steps=3), AdapterSettings("lora"), out=tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()
    for file in tmp_path.rglob("adapter_model.safetensors"):
        import torch
        from safetensors.torch import load_file

        assert all(torch.isfinite(tensor).all() for tensor in load_file(file).values())


def test_a_loss_of_exactly_zero_stops_a_run(settings, tmp_path):
    from transformers import TrainerControl, TrainerState

    from cme.training.callbacks import LossGuard
    from cme.training.loop import arguments

    guard, args = LossGuard(), arguments(settings(), tmp_path)
    guard.on_log(args, TrainerState(global_step=20), TrainerControl(), logs={"loss": 0.1})
    with pytest.raises(CMEError, match="exactly 0 in steps 21 to 30"):
        guard.on_log(args, TrainerState(global_step=30), TrainerControl(), logs={"loss": 0.0})


def test_a_setting_that_does_not_fit_is_refused_before_the_folder_is_claimed(settings, mix, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(UsageError, match="max_length is 1024, but the base model's context is 512"):
        train(settings(max_length=1024), AdapterSettings("lora"), out=out)
    with pytest.raises(UsageError, match="batch_size: must be above 0"):
        train(settings(batch_size=0), AdapterSettings("lora"), out=out)
    with pytest.raises(UsageError, match="chat template"):
        train(settings(prompt_format="chat"), AdapterSettings("lora"), out=out)
    assert not out.exists()
    with pytest.raises(CMEError, match="longer than max_length: 120 rows"):
        train(settings(max_length=5), AdapterSettings("lora"), out=out)


def test_the_record_is_json_without_surprises(settings, tmp_path):
    train(settings(steps=2), AdapterSettings("lora"), out=tmp_path / "run")
    values = json.loads((tmp_path / "run" / "run.json").read_text())
    assert values["kind"] == "run" and values["training"]["dtype"] == "float32" and values["adapter"]["alpha"] == 16


def test_the_record_names_the_datasets_of_the_mix(settings, mix, tmp_path):
    import shutil

    folder = shutil.copytree(mix, tmp_path / "mix")
    counts = {"read": 9, "conflicting": 0, "duplicates": 0, "validation": 0, "available": 9, "rows": 9}
    item = MixDataset(family="any", licence="MIT", dropped={}, leaks={}, **counts)
    manifest = read_manifest(mix).replace(datasets={"squad_v2": item, "qqp": item})
    write_record(folder / "manifest.json", manifest)
    train(settings(data=str(folder), steps=2), AdapterSettings("lora"), out=tmp_path / "run")
    run = read_record(tmp_path / "run" / "run.json", Run)
    assert run.mix_datasets == ("squad_v2", "qqp") and run.mix_compared is None


def test_the_record_says_with_which_evaluation_rows_the_mix_was_compared(settings, mix, tmp_path):
    import shutil

    folder = shutil.copytree(mix, tmp_path / "mix")
    lacked = {"anli": ("anli/test_r2.parquet",), "rte": ("rte/validation.parquet",)}
    manifest = read_manifest(mix).replace(overlap={"qqp": {"qqp": {}, "anli": {"exact": 1}}}, unchecked=lacked)
    for gate, compared in ((True, {"qqp": (), "anli": ("anli/test_r2.parquet",)}), (False, {})):
        write_record(folder / "manifest.json", manifest.replace(gate=gate))
        out = tmp_path / f"run-{gate}"
        train(settings(data=str(folder), steps=1), AdapterSettings("lora"), out=out)
        assert read_record(out / "run.json", Run).mix_compared == compared


def test_a_token_without_an_embedding_is_refused_before_the_folder_is_claimed(settings, base, tmp_path):
    import shutil

    other = shutil.copytree(base, tmp_path / "base")
    tokenizer = load_tokenizer(other)
    assert tokenizer.add_tokens(["<one>", "<two>"]) == 2
    tokenizer.save_pretrained(other)
    with pytest.raises(CMEError, match="none for '<one>' and 1 more"):
        train(settings(base=str(other)), AdapterSettings("lora"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
