"""Bases that are mixtures of experts: which layers are adapted, and which notes users get."""

import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, MixtralConfig, Qwen2MoeConfig

from cme.adapters import ffn_targets, load_adapter, settings_from
from cme.adapters.layer_names import unadapted_experts
from cme.bench.adapters import BenchSettings, measure_adapters
from cme.errors import CMEWarning, UsageError
from cme.training.model import adapted_model, save_adapter

SIZES = {
    "vocab_size": 61,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
CONFIGS = {
    "qwen": Qwen2MoeConfig(
        **SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, shared_expert_intermediate_size=24
    ),
    "mixtral": MixtralConfig(**SIZES, num_local_experts=4),
}
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
TOKENS = torch.arange(3, 21).view(2, 9)


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    folders = {}
    for name, config in CONFIGS.items():
        folders[name] = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folders[name])
    return folders


def made(base, **settings):
    return adapted_model(base, settings_from(settings), dtype="float32", device="cpu", seed=0, steps=5)[0]


def adapted(model):
    return {name.split("layers.")[-1] for name, module in model.named_modules() if hasattr(module, "base_layer")}


@pytest.mark.parametrize("method", ["lora", "teamlora"])
def test_by_default_the_shared_expert_is_adapted_and_the_others_are_named(bases, method):
    with pytest.warns(CMEWarning) as caught:
        model = made(bases["qwen"], method=method)
    (text,) = [str(warning.message) for warning in caught if issubclass(warning.category, CMEWarning)]
    assert text.startswith(
        f"{method}: the base is a mixture of experts, and the adapter is on mlp.shared_expert.gate_proj (2)"
    )
    assert "The experts of 2 layers (mlp.experts.gate_up_proj, mlp.experts.down_proj) are not adapted" in text
    assert len(adapted(model)) == 6 and all(".shared_expert." in name for name in adapted(model))


def test_without_any_feed_forward_layer_the_message_says_how_experts_are_adapted(bases):
    with pytest.raises(
        UsageError, match=r"Its experts \(mlp.experts.gate_up_proj.*PEFT's LoRA adapts, with target_param"
    ):
        made(bases["mixtral"], method="teamlora")


def test_a_router_among_named_layers_is_pointed_out(bases):
    with (
        pytest.warns(
            CMEWarning, match=r"routers or norms of the base \(model\.layers\.0\.mlp\.shared_expert_gate, model"
        ),
        pytest.warns(CMEWarning, match="The experts of 2 layers .* are not adapted"),
    ):
        made(bases["qwen"], method="lora", target_modules="all-linear")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("targets", [EXPERTS, EXPERTS[1:]], ids=["both", "one"])
def test_target_parameters_alone(bases, tmp_path, name, targets):
    """Only the requested parameters are adapted, and the loaded adapter gives the same logits as the saved one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", CMEWarning)
        model = made(bases[name], method="peft", options={"peft_type": "LORA", "r": 2, "target_parameters": targets})
    assert {path.split(".")[2] for path in adapted(model)} == {"experts"}
    assert list(unadapted_experts(model)) == EXPERTS[: 2 - len(targets)]
    own = [weight for weight in model.parameters() if weight.requires_grad]
    assert len(own) == 4 * len(targets)
    with torch.no_grad():
        for weight in own:
            weight.normal_(std=0.3)
        logits = model.eval()(input_ids=TOKENS).logits
        save_adapter(model, "tiny", tmp_path)
        for load in (load_adapter, PeftModel.from_pretrained):
            again = load(AutoModelForCausalLM.from_pretrained(bases[name]), tmp_path).eval()
            torch.testing.assert_close(again(input_ids=TOKENS).logits, logits)


@pytest.mark.parametrize(
    "path",
    [
        "model.layers.0.mlp.router.down_proj",  # Zaya's own router
        "model.layers.0.mlp.gate.fc1",
        "model.layers.0.moe.expert_router.up_proj",
        "model.layers.0.input_layernorm.mlp.fc1",  # a norm that is a small network
        "model.layers.0.q_norm.fc2",
    ],
)
def test_routers_and_norms_are_never_a_default(path):
    def nest(path):
        first, _, rest = path.partition(".")
        return torch.nn.ModuleDict({first: nest(rest) if rest else torch.nn.Linear(2, 2)})

    model = nest(path)
    with pytest.raises(UsageError, match="no feed-forward layers"):
        ffn_targets(model)
    model["model"]["mlp"] = torch.nn.ModuleDict({"up_proj": torch.nn.Linear(2, 2), "gate_proj": torch.nn.Linear(2, 2)})
    assert all(name.endswith(("up_proj", "gate_proj")) for name in ffn_targets(model))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_costs_are_measured_in_float32(bases):
    """Operations are counted in bfloat16, because the experts' product supports fake tensors in bfloat16 only."""
    small = {
        "total_rank": 4,
        "experts": (2,),
        "rounds": 2,
        "warmup": 0,
        "batch": 2,
        "train_length": 12,
        "infer_length": 8,
    }
    settings = BenchSettings(methods=("base", "teamlora"), forms=("fused",), modes=("train", "prefill"), **small)
    flops = []
    for dtype in (torch.float32, torch.bfloat16):
        report = measure_adapters(AutoModelForCausalLM.from_pretrained(bases["qwen"], dtype=dtype), settings)
        flops.append([cost.flops for case in report.cases for cost in case.modes])
    assert flops[0] == flops[1] and all(flops[0])


def test_weight_decay_leaves_out_the_bias_of_a_threshold(adapted):
    from cme.training.loop import _Trainer

    names = object.__new__(_Trainer).get_decay_parameter_names(adapted("adamole"))
    assert any(".adamole_W." in name for name in names) and not any(".adamole_T." in name for name in names)
