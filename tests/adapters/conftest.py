"""Small random models and adapters."""

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import PeftType, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

import cme  # noqa: F401 (enters the methods into peft)
from tests.adapters.packages import EXAMPLE
from tests.adapters.variants import OWN, RANKWISE, ROUTED

sys.path.insert(0, str(EXAMPLE))
import cme_topk.tuner  # noqa: F401 (the example package's method passes the same tests)

SIZES = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def make_base(**sizes: Any) -> LlamaForCausalLM:
    """Create a random Llama, which is the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(LlamaConfig(**(SIZES | sizes))).eval()


def make_config(method: str = "teamlora", **fields: Any) -> Any:
    """Create a configuration of rank 3 (per expert). Methods with experts have 4 experts, or 12 ranks of which 4 are used."""
    common: dict[str, Any] = {"r": 3, "lora_alpha": 6, "task_type": "CAUSAL_LM"}
    if method in ("lora", "adalora"):
        common["target_modules"] = ["gate_proj", "up_proj", "down_proj"]
    if method == "adalora":
        common = {**common, "init_r": 3, "target_r": 2, "total_step": 10}
        del common["r"]
    if method in RANKWISE:
        common = {**common, "r": 12, "lora_alpha": 24, "top_k": 4}
    return PEFT_TYPE_TO_CONFIG_MAPPING[PeftType[method.upper()]](**(common | fields))


def of_adapter(name: str) -> bool:
    """Whether a tensor of a model belongs to an adapter of one of the methods in ``variants.py``, or of LoRA."""
    return re.search(rf"(^|\.)(lora|{'|'.join((*OWN, *ROUTED))})_", name) is not None


def randomise(model: torch.nn.Module, seed: int = 1) -> None:
    """Give every adapter parameter random values, as if it had been trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if of_adapter(name):
                values = torch.randn(parameter.shape, generator=generator)
                # M stays near its start: a sum of gates near zero is a test of its own.
                values = (
                    torch.eye(len(values)) + 0.1 * values
                    if "teamlora_M" in name or "moslora_M" in name
                    else 0.3 * values
                )
                parameter.copy_(values.to(parameter.dtype))
        for name, buffer in model.named_buffers():
            if "smora_b" in name or "flylora_" in name:
                values = torch.randn(buffer.shape, generator=generator)
                # FlyLoRA's A has zeros.
                buffer.copy_(0.1 * values if "_b." in name else 0.3 * values * (values.abs() > 1))


@pytest.fixture
def base() -> LlamaForCausalLM:
    return make_base()


@pytest.fixture
def adapted() -> Callable[..., Any]:
    """``adapted(method, trained=True, base=None, **fields)`` is a model with an adapter in evaluation mode."""

    def make(method: str = "teamlora", *, trained: bool = True, base: Any = None, **fields: Any) -> Any:
        torch.manual_seed(3)
        model = get_peft_model(base if base is not None else make_base(), make_config(method, **fields))
        if trained:
            randomise(model)
        return model.eval()

    return make


@pytest.fixture
def tokens() -> Tensor:
    """Two rows of nine tokens."""
    return torch.randint(3, 61, (2, 9), generator=torch.Generator().manual_seed(5))


def layers(model: Any) -> list[Any]:
    """The adapted layers."""
    return [module for module in model.modules() if hasattr(module, "base_layer")]


def logits(model: Any, tokens: Tensor, **kwargs: Any) -> Tensor:
    with torch.no_grad():
        return model(input_ids=tokens, **kwargs).logits
