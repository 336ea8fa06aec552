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

from cme.adapters import ffn_targets
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
    with pytest.raises(UsageError, match=r"TEAMLORA adapts torch.nn.Linear layers only; .*c_fc is a Conv1D"):
        get_peft_model(base, TeamLoraConfig(task_type="CAUSAL_LM"))
    base = build(GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2))
    model = get_peft_model(base, LoraConfig(target_modules=ffn_targets(base), fan_in_fan_out=True))
    assert all(".mlp." in name for name in model.base_model.targeted_module_names)


def test_a_model_without_known_names():
    with torch.device("meta"):
        model = BertModel(BertConfig(**SMALL, intermediate_size=24))
    with pytest.raises(UsageError, match="BertModel has no feed-forward projections that CME knows"):
        ffn_targets(model)
