"""Export of a MoSLoRA adapter to a plain LoRA adapter with the same outputs, which PEFT loads without CME."""

from pathlib import Path
from typing import TYPE_CHECKING

from cme.adapters.checks import WEIGHTS_FILE, check_finite, known_type, read_config
from cme.adapters.plain_lora import plain_config
from cme.errors import AdapterError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["export_lora"]


def export_lora(folder: Path, out: Path) -> None:
    """Write a MoSLoRA adapter as a plain LoRA adapter with A' = M A. B, alpha and the tensors' dtypes do not change.

    Args:
        folder: The folder of the MoSLoRA adapter.
        out: A new or empty folder, for ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises:
        AdapterError: ``folder`` does not hold a MoSLoRA adapter, or the adapter is damaged.
        UsageError: ``out`` exists and is not an empty folder.
    """
    from peft import PeftConfig
    from safetensors.torch import load_file, save_file

    kind = known_type(folder, read_config(folder))
    if kind != "MOSLORA":
        raise AdapterError(f"{folder} holds a {kind} adapter. Only MOSLORA adapters can be exported to plain LoRA.")
    check_finite(folder)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder. Choose a new folder.")
    tensors = _as_lora(folder, load_file(folder / WEIGHTS_FILE))
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / WEIGHTS_FILE, metadata={"format": "pt"})
    config = PeftConfig.from_pretrained(str(folder))
    plain = plain_config(config, rank=config.r, alpha=config.lora_alpha, dropout=config.lora_dropout)
    plain.save_pretrained(str(out))


def _as_lora(folder: Path, tensors: "dict[str, Tensor]") -> "dict[str, Tensor]":
    from cme.adapters.moslora.layer import mixed_down

    plain = {}
    for key, tensor in tensors.items():
        module, _, name = key.rpartition(".")
        if name == "moslora_A":
            mixer = tensors.get(f"{module}.moslora_M")
            if mixer is None:
                raise AdapterError(
                    f"{folder}: the adapter lacks the tensor {module}.moslora_M. Save the adapter again."
                )
            plain[f"{module}.lora_A.weight"] = mixed_down(tensor, mixer).to(tensor.dtype).contiguous()
        elif name == "moslora_B":
            plain[f"{module}.lora_B.weight"] = tensor
        elif name != "moslora_M":
            plain[key] = tensor
    return plain
