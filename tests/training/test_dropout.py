"""The base's own dropout is off in training, and only the adapter's dropout setting has an effect."""

import json
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from cme.adapters import settings_from
from cme.training.dropout import copy_dropout, switch_off_dropout
from cme.training.model import adapted_model, save_full
from tests.tiny import tiny_tokenizer

_COMMON = {"vocab_size": 512, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_GPT = {"vocab_size": 512, "n_embd": 32, "n_layer": 2, "n_head": 4}
BASES = {
    "gpt2": _GPT | {"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5},
    "gptj": _GPT | {"rotary_dim": 4, "resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5},
    "codegen": _GPT | {"rotary_dim": 4, "resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5},
    "opt": _COMMON
    | {"ffn_dim": 64, "word_embed_proj_dim": 32, "dropout": 0.5, "attention_dropout": 0.5, "layerdrop": 0.5},
    "biogpt": _COMMON
    | {"intermediate_size": 64, "hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5, "layerdrop": 0.5},
    "bloom": {
        "vocab_size": 512,
        "hidden_size": 32,
        "n_layer": 2,
        "n_head": 4,
        "hidden_dropout": 0.5,
        "attention_dropout": 0.5,
    },
    "falcon": _COMMON | {"hidden_dropout": 0.5, "attention_dropout": 0.5},
    "gpt_neo": {
        "vocab_size": 512,
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "attention_types": [[["global"], 2]],
    }
    | {"embed_dropout": 0.5, "resid_dropout": 0.5, "attention_dropout": 0.5},
    "gpt_neox": _COMMON | {"intermediate_size": 64, "hidden_dropout": 0.5, "attention_dropout": 0.5},
    "llama": _COMMON | {"intermediate_size": 64, "attention_dropout": 0.5},
    "phi": _COMMON | {"intermediate_size": 64, "resid_pdrop": 0.5, "embd_pdrop": 0.5, "attention_dropout": 0.5},
    "persimmon": _COMMON | {"intermediate_size": 64, "hidden_dropout": 0.5, "attention_dropout": 0.5},
    "xglm": {"vocab_size": 512, "d_model": 32, "ffn_dim": 64, "num_layers": 2, "attention_heads": 4}
    | {"dropout": 0.5, "attention_dropout": 0.5, "activation_dropout": 0.5, "layerdrop": 0.5},
}


def make(name):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **BASES[name]))


def logits(model):
    torch.manual_seed(1)
    with torch.no_grad():
        return model(input_ids=torch.arange(3, 40)[None], use_cache=False).logits


@pytest.mark.parametrize("name", BASES)
def test_training_mode_computes_what_evaluation_mode_does(name):
    model = make(name)
    expected = logits(model.eval())
    assert not torch.allclose(logits(model.train()), expected, atol=1e-3)  # its dropout is on
    switch_off_dropout(model)
    assert torch.allclose(logits(model.train()), expected, atol=1e-5)


def saved(folder, name):
    make(name).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("method", "dropout", "same"), [("lora", 0.0, True), ("lora", 0.5, False), ("full", 0.0, True)]
)
def test_only_the_adapters_own_dropout_is_left(tmp_path, method, dropout, same):
    settings = settings_from({"method": method} | ({} if method == "full" else {"dropout": dropout}))
    model, _ = adapted_model(saved(tmp_path, "opt"), settings, dtype="float32", device="cpu", seed=0, steps=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    assert torch.allclose(logits(model.train()), logits(model.eval()), atol=1e-5) is same


def test_a_fully_trained_model_keeps_its_bases_dropout_settings(tmp_path):
    base, out = saved(tmp_path / "base", "gpt2"), tmp_path / "out"
    out.mkdir()
    model, _ = adapted_model(base, settings_from({"method": "full"}), dtype="float32", device="cpu", seed=0, steps=1)
    save_full(model, base, "gpt2", out)
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (base, out))
    assert after["resid_pdrop"] == 0.5
    assert {key: after[key] for key in before if "drop" in key} == {key: before[key] for key in before if "drop" in key}


def test_rates_of_nested_configurations_are_copied():
    own = AutoConfig.for_model("mpt", attn_config={"attn_pdrop": 1}, resid_pdrop=0.5)
    other = AutoConfig.for_model("mpt")
    copy_dropout(other, own)
    assert (other.attn_config.attn_pdrop, other.resid_pdrop) == (1, 0.5)
    switch_off_dropout(SimpleNamespace(config=other, modules=list))
    assert (other.attn_config.attn_pdrop, other.resid_pdrop) == (0, 0.0)


def test_the_loss_of_the_router_of_a_base_is_switched_off():
    from transformers import MixtralConfig, MixtralForCausalLM

    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 50,
    }
    config = MixtralConfig(
        **sizes, num_key_value_heads=1, num_local_experts=4, output_router_logits=True, router_aux_loss_coef=1.0
    )
    torch.manual_seed(0)
    model = MixtralForCausalLM(config)
    ids = torch.arange(3, 40)[None]

    def losses():
        out = model(input_ids=ids, labels=ids)
        own = torch.nn.functional.cross_entropy(out.logits[0, :-1].float(), ids[0, 1:])
        return float(out.loss.detach()), float(own.detach())

    with_router, labels = losses()
    assert with_router > labels + 1
    switch_off_dropout(model)
    assert losses() == (pytest.approx(labels, rel=1e-5), pytest.approx(labels, rel=1e-5))
    copy_dropout(model.config, MixtralConfig(**sizes, output_router_logits=True))
    assert model.config.output_router_logits is True
