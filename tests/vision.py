"""Tiny vision-language bases around the tiny Llama of `tests.tiny`, and other kinds of bases with its tokenizer."""

from pathlib import Path
from typing import Any

from tests.tiny import tiny_tokenizer

__all__ = ["VISION", "save_base", "save_llava", "save_seeing_llava", "vision_language"]

_SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "initializer_range": 0.3,
}


def save_llava(folder: Path, language: Path, *, tokenizer: bool = True) -> None:
    """Write a LLaVA whose language model has the weights of a Llama, and a random vision tower.

    Args:
        folder: the new folder.
        language: folder of the Llama.
        tokenizer: whether to write the tokenizer of the Llama.
    """
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        CLIPVisionConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    llama = AutoModelForCausalLM.from_pretrained(language)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_SMALL, image_size=8, patch_size=4, projection_dim=16),
        text_config=llama.config,
        image_token_index=llama.config.vocab_size - 1,
        tie_word_embeddings=llama.config.tie_word_embeddings,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(llama.model.state_dict())
    model.lm_head.load_state_dict(llama.lm_head.state_dict())
    model.generation_config = llama.generation_config
    model.save_pretrained(folder)
    if tokenizer:
        AutoTokenizer.from_pretrained(language).save_pretrained(folder)


def vision_language(kind: str) -> Any:
    """Make the configuration of a vision-language model.

    Args:
        kind: one of `VISION`.
    """
    import transformers as hf

    ids = _ids()
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}
    image = {"image_token_id": 398, "video_token_id": 397, "vision_start_token_id": 396, "vision_end_token_id": 395}
    if kind == "qwen2_vl":
        vision = {"depth": 2, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4}
        return hf.Qwen2VLConfig(text_config={**_TEXT, **ids, "rope_parameters": rope}, vision_config=vision, **image)
    if kind == "qwen2_5_vl":
        vision = {"depth": 2, "hidden_size": 16, "out_hidden_size": 32, "num_heads": 2, "intermediate_size": 24}
        return hf.Qwen2_5_VLConfig(
            text_config={**_TEXT, **ids, "rope_parameters": rope},
            vision_config={**vision, "patch_size": 4, "fullatt_block_indexes": [1], "window_size": 8},
            **image,
        )
    if kind == "gemma3":
        return hf.Gemma3Config(
            text_config={**_TEXT, **ids, "head_dim": 8, "sliding_window": 8},
            vision_config={**_SMALL, "image_size": 8, "patch_size": 4},
            mm_tokens_per_image=4,
            image_token_index=398,
            boi_token_index=397,
            eoi_token_index=396,
        )
    if kind == "idefics3":
        return hf.Idefics3Config(
            text_config={"model_type": "llama", **_TEXT, **ids},
            vision_config={**_SMALL, "image_size": 8, "patch_size": 4},
            image_token_id=398,
            scale_factor=2,
            pad_token_id=ids["pad_token_id"],
        )
    raise ValueError(kind)


VISION = ("qwen2_vl", "qwen2_5_vl", "gemma3", "idefics3")


def save_base(config: Any, folder: Path, factory: Any = None) -> None:
    """Write a seeded model with this configuration, and the tiny tokenizer.

    Args:
        config: a configuration of transformers.
        folder: the new folder.
        factory: class with ``from_config``, or the class of the model. None means the class that CME loads.
    """
    import torch

    from cme.models.kinds import auto_class

    with torch.random.fork_rng():
        torch.manual_seed(0)
        factory = factory or auto_class(config)
        model = factory.from_config(config) if hasattr(factory, "from_config") else factory(config)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)


def _ids() -> dict[str, int]:
    tokenizer = tiny_tokenizer()
    return {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def save_seeing_llava(folder: Path) -> None:
    """Write a LLaVA with its processor, which prefers the letters A to D as answers and whose answers depend on the image.

    Args:
        folder: the new folder.
    """
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    size = {"height": 24, "width": 24}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            **{**_SMALL, "num_hidden_layers": 3}, image_size=24, patch_size=8, projection_dim=16, initializer_range=0.3
        ),
        text_config=LlamaConfig(**_TEXT, **{**_ids(), "vocab_size": len(tokenizer)}, tie_word_embeddings=False),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = LlavaForConditionalGeneration(config)
        for weight in model.model.multi_modal_projector.parameters():
            torch.nn.init.normal_(weight, std=0.6)
    letters = [tokenizer.encode(f"a {letter}")[-1] for letter in "ABCD"]
    scale = torch.full((len(tokenizer), 1), 0.01)
    scale[letters] = 1.0
    model.lm_head.weight.data *= scale
    model.save_pretrained(folder)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=size, crop_size=size),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,
        chat_template=None,
    ).save_pretrained(folder)
