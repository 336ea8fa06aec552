"""HydraLoRA (arXiv 2404.19245) as a PEFT method. Importing this package registers it with PEFT."""

from cme.adapters.registration import add_peft_type, register_method

add_peft_type("HYDRALORA")

from cme.adapters.hydralora.config import HydraLoraConfig  # noqa: E402 (the PEFT type must exist first)
from cme.adapters.hydralora.layer import HydraLoraLinear  # noqa: E402
from cme.adapters.hydralora.model import HydraLoraModel  # noqa: E402

__all__ = ["HydraLoraConfig", "HydraLoraLinear", "HydraLoraModel"]

register_method("hydralora", HydraLoraConfig, HydraLoraModel)
