"""Small random models of other kinds than the Llama of conftest.py, with a batch for each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Phi3Config,
    Phi3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.adapters.conftest import SIZES

__all__ = ["IMAGE", "KINDS", "Kind"]

IMAGE = 60
_LANGUAGE = r".*(language_model.*v_proj|linear_2)"


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        make: Creates the random model in evaluation mode. It is the same at every call.
        inputs: Arguments of a forward pass and of generation.
        labels: Labels of the loss.
        targets: Layers to adapt. None means CME's default.
        adapted: Number of these layers.
    """

    make: Callable[[], Any]
    inputs: dict[str, Tensor]
    labels: Tensor
    targets: tuple[str, ...] | str | None
    adapted: int


def seeded(factory: Callable[[Any], Any], config: Any) -> Callable[[], Any]:
    def make() -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return factory(config).eval()

    return make


def ids(rows: int, length: int) -> Tensor:
    return torch.randint(3, IMAGE, (rows, length), generator=torch.Generator().manual_seed(length))


def text(length: int = 9) -> dict[str, Tensor]:
    return {"input_ids": ids(2, length), "attention_mask": torch.ones(2, length, dtype=torch.long)}


def picture() -> dict[str, Tensor]:
    """Four patches of an 8 × 8 image, and text."""
    batch = text()
    batch["input_ids"][:, 1:5] = IMAGE
    return {**batch, "pixel_values": torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))}


_SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
_T5 = T5Config(
    vocab_size=61, d_model=16, d_ff=24, d_kv=8, num_layers=2, num_heads=2,
    decoder_start_token_id=0, pad_token_id=0, eos_token_id=2, dropout_rate=0.0,
)  # fmt: skip
_LLAVA = LlavaConfig(
    vision_config=CLIPVisionConfig(**_SMALL, image_size=8, patch_size=4, projection_dim=16),
    text_config=LlamaConfig(**SIZES),
    image_token_index=IMAGE,
    pad_token_id=0,
)
_PHI3 = Phi3Config(**_SMALL, vocab_size=61, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)

t5 = seeded(T5ForConditionalGeneration, _T5)
llava = seeded(LlavaForConditionalGeneration, _LLAVA)
phi3 = seeded(Phi3ForCausalLM, _PHI3)

KINDS = {
    "T5": Kind(t5, text(), ids(2, 7), None, adapted=8),
    "T5's attention": Kind(t5, text(), ids(2, 7), ("q", "k", "v", "o"), adapted=24),
    "LLaVA": Kind(llava, picture(), text()["input_ids"], None, adapted=6),
    "LLaVA's projector and attention": Kind(llava, picture(), text()["input_ids"], _LANGUAGE, adapted=3),
    "Phi-3's fused projections": Kind(phi3, text(), text()["input_ids"], ("qkv_proj", "gate_up_proj"), adapted=4),
}
