"""MoELoRA (the TeamLoRA paper's baseline, arXiv 2408.09856) as a PEFT method. Importing this package registers it with PEFT."""

from cme.adapters.registration import add_peft_type, register_method

add_peft_type("MOELORA")

from cme.adapters.moelora.config import MoeLoraConfig  # noqa: E402 (the PEFT type must exist first)
from cme.adapters.moelora.layer import MoeLoraLinear  # noqa: E402
from cme.adapters.moelora.model import MoeLoraModel  # noqa: E402

__all__ = ["MoeLoraConfig", "MoeLoraLinear", "MoeLoraModel"]

register_method("moelora", MoeLoraConfig, MoeLoraModel)
