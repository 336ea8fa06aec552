"""The base with a fresh adapter on it, and the adapter as it is shared."""

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from cme.adapters import AdapterSettings, build_config, register_all
from cme.files import atomic_path
from cme.models.load import load_model

__all__ = ["adapted_model", "save_adapter"]

_SHORT = 192
"""Up to so many tokens plain attention beats the fused kernel on a CPU in bfloat16, whose backward pass has no products
in bfloat16 (SmolLM2-135M, EPYC with avx512_bf16: a third more tokens per second at 80, a sixth at 150). Beyond, its
memory, which grows with the square of the length, is worth more."""

_FILES = ("adapter_config.json", "README.md", "adapter_model.safetensors")


def adapted_model(
    base: Path, adapter: AdapterSettings, *, dtype: str, device: str, seed: int, longest: int | None = None
) -> Any:
    """A base model with a new adapter, trainable in float32.

    Args:
        base: from `cme.models.load.resolve_base`.
        adapter: the adapter's settings.
        dtype: of the base's weights.
        device: where to put it.
        seed: of the adapter's start; one seed gives one start on every device.
        longest: most tokens of an example, if that is known.

    Returns:
        The `PeftModel`.
    """
    register_all()
    from peft import get_peft_model
    from transformers import set_seed

    model = load_model(base, dtype=dtype, device=device)
    if device == "cpu" and dtype == "bfloat16" and longest is not None and longest <= _SHORT:
        model.set_attn_implementation("eager")
    config = build_config(adapter, model)
    set_seed(seed)
    with warnings.catch_warnings():
        # PEFT 0.21 asks the model by a name that transformers 5.23 deprecates; the answer is the same.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        return get_peft_model(model, config)


def save_adapter(model: Any, base: str, out: Path) -> None:
    """Write ``adapter_config.json``, ``adapter_model.safetensors`` and the card into ``out``, each whole or not at all.

    Args:
        model: the trained `PeftModel`.
        base: the base as asked for: what others know it by, rather than the place where it lies on this machine.
        out: the run's folder.
    """
    model.get_base_model().name_or_path = base
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    with tempfile.TemporaryDirectory(dir=out, prefix=".adapter.") as name:
        model.save_pretrained(name, save_embedding_layers=False)
        for file in _FILES:
            with atomic_path(out / file) as temporary:
                shutil.copyfile(Path(name) / file, temporary)
