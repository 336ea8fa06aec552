"""The feed-forward projections of several families of models."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    BertModel,
    BloomConfig,
    GPT2Config,
    GPTNeoXConfig,
    OPTConfig,
    Phi3Config,
    T5Config,
)

from cme.adapters import build_config, ffn_targets, settings_from
from cme.adapters.layer_names import linear_names
from cme.adapters.targets import check_targets
from cme.adapters.teamlora import TeamLoraConfig
from cme.errors import UsageError
from tests.adapters.conftest import make_base, make_config

SMALL = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def build(config, factory=AutoModelForCausalLM):
    with torch.device("meta"):
        return factory.from_config(config)


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (Phi3Config(**SMALL, intermediate_size=24, pad_token_id=0), ["gate_up_proj", "down_proj"]),
        (OPTConfig(**SMALL, ffn_dim=24, word_embed_proj_dim=16), ["fc1", "fc2"]),
        (GPTNeoXConfig(**SMALL, intermediate_size=24), ["dense_h_to_4h", "dense_4h_to_h"]),
        (BloomConfig(vocab_size=20, hidden_size=16, n_layer=2, n_head=2), ["dense_h_to_4h", "dense_4h_to_h"]),
        (GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2), ["c_fc", "mlp.c_proj"]),
    ],
)
def test_families(config, names):
    assert ffn_targets(build(config)) == names


@pytest.mark.parametrize(("kind", "names"), [("relu", ["wi", "wo"]), ("gated-gelu", ["wi_0", "wi_1", "wo"])])
def test_t5(kind, names):
    config = T5Config(vocab_size=20, d_model=16, d_ff=24, num_layers=2, num_heads=2, d_kv=8, feed_forward_proj=kind)
    assert ffn_targets(build(config, AutoModelForSeq2SeqLM)) == names


def test_llama_with_and_without_adapters():
    base = make_base()
    expected = ["gate_proj", "up_proj", "down_proj"]
    assert ffn_targets(base) == expected
    for config in (make_config("lora"), make_config("lora", target_modules=["q_proj", "down_proj"])):
        assert ffn_targets(get_peft_model(make_base(), config)) == expected


def test_gpt2_takes_lora_but_its_conv1d_no_experts():
    base = build(GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2))
    with pytest.raises(UsageError, match=r"TEAMLORA adapts torch.nn.Linear layers only, but .*c_fc is a Conv1D"):
        get_peft_model(base, TeamLoraConfig(task_type="CAUSAL_LM"))
    base = build(GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2))
    model = get_peft_model(base, LoraConfig(target_modules=ffn_targets(base), fan_in_fan_out=True))
    assert all(".mlp." in name for name in model.base_model.targeted_module_names)


def bert():
    with torch.device("meta"):
        return BertModel(BertConfig(**SMALL, intermediate_size=24))


def test_a_model_without_known_names():
    with pytest.raises(UsageError) as caught:
        ffn_targets(bert())
    assert str(caught.value) == (
        "CME knows the names of no feed-forward layers in BertModel. Name the layers to adapt with target_modules "
        "(--target-modules a,b). Its linear layers: query, key, value, output.dense, intermediate.dense, pooler.dense."
    )


def test_names_of_linear_layers():
    own = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]
    assert linear_names(make_base()) == own
    assert linear_names(get_peft_model(make_base(), make_config("lora"))) == own
    numbered = torch.nn.ModuleDict({"head": torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))})
    assert linear_names(numbered) == ["head.0", "head.1"]


@pytest.mark.parametrize(
    "targets",
    [("q_proj",), ("mlp.up_proj", "o_proj"), "all-linear", r".*\.1\.mlp\..*_proj", ("embed_tokens",), ["all-linear"]],
)
def test_layers_that_exist(targets):
    settings = settings_from({"method": "lora", "target_modules": targets})
    assert get_peft_model(make_base(), build_config(settings, make_base())).base_model.targeted_module_names


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("q_prj",), "LlamaForCausalLM has no module 'q_prj'. Its linear layers, the nearest first: q_proj, k_proj"),
        # PEFT passes over a name that is not there if another one is.
        (("q_proj", "gate"), "has no module 'gate'. Its linear layers, the nearest first: gate_proj, "),
        (("proj",), "has no module 'proj'"),
        (
            "up_proj",
            "A string is a regular expression for whole names such as 'model.layers.0.mlp.up_proj'. Use the list [up_proj].",
        ),
        (r".*\.9\..*", r"has no module '.*\\.9\\..*'"),
        ("(", "'(' is not a valid regular expression: missing ), unterminated subpattern"),
        (
            ("mlp",),
            "'mlp' is a LlamaMLP (model.layers.0.mlp), which has no weight matrix to adapt. The linear layers of",
        ),
        (("norm",), "'norm' is a LlamaRMSNorm (model.norm), which has no weight matrix to adapt"),
    ],
)
@pytest.mark.parametrize("method", ["lora", "teamlora"])
def test_layers_that_do_not_exist(method, targets, message):
    settings = settings_from({"method": method, "target_modules": targets})
    with pytest.raises(UsageError) as caught:
        build_config(settings, make_base())
    assert str(caught.value).startswith("target_modules: ") and message in str(caught.value)


def test_many_names_are_cut():
    many = torch.nn.ModuleDict({f"layer{number}": torch.nn.Linear(2, 2) for number in range(30)})
    with pytest.raises(UsageError, match=r"nearest first: layer2, .* and 10 more\."):
        check_targets(many, ["layr2"])
