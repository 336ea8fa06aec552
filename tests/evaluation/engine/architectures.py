"""Tiny random models of many architectures, saved with the tiny tokenizer as base models."""

import inspect

from tests.tiny import tiny_tokenizer

_COMMON = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "head_dim": 8,
    "initializer_range": 0.3,
    "init_std": 0.3,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    # Older names of the same fields.
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 512,
    "n_inner": 64,
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "num_layers": 2,
    "num_heads": 4,
    "attention_heads": 4,
    "ffn_dim": 64,
    "ffn_hidden_size": 64,
    "word_embed_proj_dim": 32,
    "max_seq_len": 512,
    "rotary_dim": 4,
    "attention_hidden_size": 32,
    "context_length": 512,
}

_MLA = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": None,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "head_dim": 8,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "n_shared_experts": 1,
}

_LONGROPE = {
    "original_max_position_embeddings": 64,
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
        "original_max_position_embeddings": 64,
    },
}

_DECODER = {"is_decoder": True}

ARCHITECTURES = {
    "llama": {},
    "mistral": {"sliding_window": None},
    "mistral with a window": {"sliding_window": 8},
    "mistral with a large window": {"sliding_window": 512},
    "qwen2": {},
    "qwen3": {},
    "qwen2_moe": {},
    "qwen3_moe": {},
    "phi": {},
    "phi3": {},
    "phi3 with longrope": _LONGROPE,
    "phimoe": {},
    "gemma": {},
    "gemma2": {"sliding_window": 8},
    "gemma3_text": {"sliding_window": 8},
    "gemma3_text with a large window": {"sliding_window": 512},
    "vaultgemma": {"sliding_window": 8},
    "gpt2": {},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "gpt_neox": {},
    "gpt_neox_japanese": {},
    "gptj": {},
    "gpt_bigcode": {},
    "gpt_oss": {"sliding_window": 8},
    "gpt_oss with a large window": {"sliding_window": 512},
    "opt": {},
    "bloom": {},
    "falcon": {},
    "falcon with alibi": {"alibi": True},
    "mpt": {},
    "codegen": {},
    "biogpt": {},
    "ctrl": {"dff": 64},
    "openai-gpt": {},
    "xglm": {},
    "cohere": {},
    "cohere2": {"sliding_window": 8},
    "olmo": {},
    "olmo2": {},
    "olmo3": {"sliding_window": 8},
    "olmoe": {},
    "stablelm": {},
    "starcoder2": {"sliding_window": None},
    "persimmon": {},
    "granite": {},
    "granitemoe": {},
    "mixtral": {"sliding_window": None},
    "glm": {"pad_token_id": 1},
    "glm4": {"pad_token_id": 1},
    "glm4_moe": {},
    "helium": {},
    "nemotron": {},
    "smollm3": {},
    "exaone4": {"sliding_window": 8},
    "ernie4_5": {},
    "apertus": {},
    "arcee": {},
    "bitnet": {},
    "diffllama": {},
    "hunyuan_v1_dense": {},
    "seed_oss": {},
    "jetmoe": {"kv_channels": 8},
    "nanochat": {},
    "llama4_text": {"attention_chunk_size": 16, "intermediate_size_mlp": 64},
    "deepseek_v2": _MLA,
    "deepseek_v3": _MLA,
    "mamba": {"state_size": 4},
    "falcon_mamba": {"state_size": 4},
    "mamba2": {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1, "expand": 2, "chunk_size": 16},
    "rwkv": {},
    "recurrent_gemma": {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 16},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 4, "use_mamba_kernels": False},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "qwen3_next": {
        "layer_types": ["linear_attention", "full_attention"],
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    },
    "minimax": {"layer_types": ["linear_attention", "full_attention"], "block_size": 16},
    "falcon_h1": {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 16},
    "xlnet": {"n_layer": 2, "d_inner": 64},
    "roberta": _DECODER,
    "bert": _DECODER,
    "bert without a mask": {},
}
"""Fields of each configuration that differ from the common values. The first word of a name is the model type."""


def save_architecture(name: str, folder) -> None:
    """Write a seeded model of an architecture and the tiny tokenizer."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    tokenizer = tiny_tokenizer()
    cls = CONFIG_MAPPING[name.split()[0]]
    known = {*inspect.signature(cls.__init__).parameters, *getattr(cls, "__dataclass_fields__", {})}
    values = {
        **_COMMON,
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = cls(**{key: value for key, value in values.items() if key in known} | ARCHITECTURES[name])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


TARGETS = {"mamba": ("in_proj",), "mamba2": ("in_proj",), "falcon_mamba": ("in_proj",), "phimoe": ("q_proj", "o_proj")}
"""Layers to adapt if CME does not know the feed-forward layers of a model and PEFT cannot adapt all linear layers."""
