"""FlyLoRA (arXiv 2510.08396) as a PEFT method. Importing this package registers it with PEFT."""

from cme.adapters.registration import add_peft_type, register_method

add_peft_type("FLYLORA")

from cme.adapters.flylora.config import FlyLoraConfig  # noqa: E402 (the PEFT type must exist first)
from cme.adapters.flylora.layer import FlyLoraLinear  # noqa: E402
from cme.adapters.flylora.model import FlyLoraModel  # noqa: E402

__all__ = ["FlyLoraConfig", "FlyLoraLinear", "FlyLoraModel"]

register_method("flylora", FlyLoraConfig, FlyLoraModel)
