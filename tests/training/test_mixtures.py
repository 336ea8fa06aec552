"""Mixtures of experts are trained with PEFT's ``target_parameters`` alone, and the record says what is adapted."""

import json
import shutil

import pytest
import torch
import yaml

from cme.adapters import load_adapter, settings_from
from cme.errors import CMEWarning, UsageError
from cme.models.load import load_model, load_tokenizer
from cme.training import train
from cme.training.checkpoints import FOLDER
from tests.cli.conftest import cme as command  # noqa: F401 (a fixture)
from tests.vision import save_base

from .test_resume import interrupted

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "num_experts_per_tok": 2,
}
KINDS = {
    "mixtral": {"num_local_experts": 4},
    "qwen2_moe": {"num_experts": 4, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 48},
    "qwen3_moe": {"num_experts": 4, "moe_intermediate_size": 24},
    "gpt_oss": {"num_local_experts": 4, "sliding_window": 8},
}
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
ADAPTED = {f"model.layers.*.{name}": 2 for name in EXPERTS}
OPTIONS = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_parameters": EXPERTS}


@pytest.fixture(scope="module")
def mixture(base, tmp_path_factory):
    """Make a mixture of experts with the tokenizer of the other tests."""
    from transformers import AutoConfig

    def make(kind, **more):
        folder, tokenizer = tmp_path_factory.mktemp(kind) / "base", load_tokenizer(base)
        own = {name: value for name, value in SIZES.items() if kind != "qwen2_moe" or name != "head_dim"}
        ids = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
        own |= KINDS[kind] | ids | more
        save_base(AutoConfig.for_model(kind, **own, eos_token_id=tokenizer.eos_token_id), folder)
        for file in [*folder.glob("*token*"), *folder.glob("chat_template*")]:
            file.unlink()
        for file in base.glob("*token*"):
            shutil.copy(file, folder)
        return folder

    return make


def logits(model, tokenizer):
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokenizer.encode("Where is the river?")])).logits


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", [*KINDS][:2] + [pytest.param(name, marks=pytest.mark.long) for name in [*KINDS][2:]])
def test_all_experts_are_adapted_resumed_and_loaded(settings, mixture, tmp_path, monkeypatch, kind):
    folder = mixture(kind)
    adapter = settings_from({"method": "peft", "options": OPTIONS})
    given = settings(steps=6, base=str(folder), save_every=2)
    with pytest.warns(
        CMEWarning, match=r"the base is a mixture of experts, and the adapter is on mlp\.experts\.\w+ \(2\)"
    ):
        run = train(given, adapter, out=tmp_path / "run")
    assert run.adapted == ADAPTED and run.method == "lora"
    assert not any("experts" in name for name in run.not_adapted)
    assert run.not_adapted["model.layers.*.self_attn.q_proj"] == 2
    assert run.saved_check.changed == run.saved_check.trainable == 8 and run.saved_check.effect > 1e-3
    with pytest.warns(CMEWarning, match="mixture of experts"):
        interrupted(monkeypatch, given, adapter, tmp_path / "again", step=4)
        again = train(given, adapter, out=tmp_path / "again")
    assert again.interruptions == 1 and again.adapter_fingerprint == run.adapter_fingerprint
    assert not (tmp_path / "again" / FOLDER).exists()


@pytest.mark.filterwarnings("ignore::cme.errors.CMEWarning", "ignore::FutureWarning")
def test_through_a_recipe_and_the_command_line(command, mix, mixture, tmp_path):  # noqa: F811 (the fixture)
    folder = mixture("mixtral")
    recipe = {"adapter": {"method": "peft", "options": OPTIONS}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    values = {"--data": mix, "--base": folder, "--steps": 3, "--batch-size": 2, "--max-length": 256, "--threads": 1}
    common = [*(item for pair in values.items() for item in pair), "--dtype", "float32", "--json"]
    one = command("train", "--recipe", tmp_path / "recipe.yaml", *common, "--out", tmp_path / "one")
    assert one.exit_code == 0, one.stderr
    chosen = ["--set", "peft_type=LORA", "--set", "r=2", "--set", "lora_alpha=4"]
    targets = ["--set", f"target_parameters=[{', '.join(EXPERTS)}]"]
    two = command("train", "--method", "peft", *chosen, *targets, *common, "--out", tmp_path / "two")
    assert two.exit_code == 0, two.stderr
    first, second = json.loads(one.stdout), json.loads(two.stdout)
    assert first["adapter_fingerprint"] == second["adapter_fingerprint"] and first["adapted"] == ADAPTED
    assert first["adapter"]["target_modules"] is None

    rows = ["--source", "mini", "--tier", "smoke", "--datasets", "qqp,nq_open", "--threads", 1, "--json"]
    scored = command("eval", "--base", folder, "--adapter", tmp_path / "one", *rows, "--out", tmp_path / "result")
    assert scored.exit_code == 0, scored.stderr
    result = json.loads(scored.stdout)
    assert result["adapter"]["changes_output"] and set(result["engines"].values()) == {"prefix"}
    counted = command("params", "--base", folder, "--method", "peft", *chosen, *targets, "--json")
    assert json.loads(counted.stdout)["trainable"] == first["trainable_parameters"]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("kind", "adapted"),
    [
        ("qwen2_moe", {f"model.layers.*.mlp.shared_expert.{name}_proj": 2 for name in ("gate", "up", "down")}),
        ("mixtral", None),
    ],
)
def test_without_target_parameters_the_experts_are_reported(settings, mixture, tmp_path, kind, adapted):
    folder = mixture(kind)
    given, adapter = settings(steps=2, base=str(folder)), settings_from({"method": "teamlora", "rank": 2})
    if adapted is None:
        with pytest.raises(
            UsageError, match=r"Its experts \(mlp\.experts\.gate_up_proj, mlp\.experts\.down_proj\) are par"
        ):
            train(given, adapter, out=tmp_path / "run")
        return
    with pytest.warns(CMEWarning, match=r"\(2\) only\. The experts of 2 layers \(mlp\.experts\.gate_up_proj, mlp\.exp"):
        run = train(given, adapter, out=tmp_path / "run")
    assert run.adapted == adapted
    assert {name: run.not_adapted[name] for name in ADAPTED} == ADAPTED
    model = load_adapter(load_model(folder, device="cpu"), tmp_path / "run")
    assert logits(model, load_tokenizer(folder)).isfinite().all()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:The following .*_pattern keys:RuntimeWarning")
def test_dense_layers_that_lora_leaves_out_are_named(settings, mixture, tmp_path):
    """PEFT's LoRA reads ``gate_proj`` as a name of the experts here, and other methods as that of the dense layer."""
    given = settings(steps=2, base=str(mixture("qwen3_moe", mlp_only_layers=[0])))
    dense = {f"model.layers.*.mlp.{name}_proj": 1 for name in ("gate", "up", "down")}
    with pytest.warns(
        CMEWarning, match=r"Other feed-forward layers have no adapter: mlp\.gate_proj \(1\), mlp\.up_proj"
    ):
        run = train(given, settings_from({"method": "lora", "rank": 2}), out=tmp_path / "lora")
    assert run.adapted == dict.fromkeys(ADAPTED, 1) and run.not_adapted.items() >= dense.items()
    with pytest.warns(CMEWarning, match=r"The experts of 1 layer .* are not adapted"):
        run = train(given, settings_from({"method": "teamlora", "rank": 2}), out=tmp_path / "team")
    assert run.adapted == dense
