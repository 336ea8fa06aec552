"""MoSLoRA (arXiv 2406.11909) as a PEFT method. Importing this package registers it with PEFT."""

from cme.adapters.registration import add_peft_type, register_method

add_peft_type("MOSLORA")

from cme.adapters.moslora.config import MosLoraConfig  # noqa: E402 (the PEFT type must exist first)
from cme.adapters.moslora.export import export_lora  # noqa: E402
from cme.adapters.moslora.layer import MosLoraLinear  # noqa: E402
from cme.adapters.moslora.model import MosLoraModel  # noqa: E402

__all__ = ["MosLoraConfig", "MosLoraLinear", "MosLoraModel", "export_lora"]

register_method("moslora", MosLoraConfig, MosLoraModel)
