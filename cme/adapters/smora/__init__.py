"""SMoRA (arXiv 2501.15103) as a PEFT method. Importing this package registers it with PEFT."""

from cme.adapters.registration import add_peft_type, register_method

add_peft_type("SMORA")

from cme.adapters.smora.config import SMoraConfig  # noqa: E402 (the PEFT type must exist first)
from cme.adapters.smora.layer import SMoraLinear  # noqa: E402
from cme.adapters.smora.model import SMoraModel  # noqa: E402

__all__ = ["SMoraConfig", "SMoraLinear", "SMoraModel"]

register_method("smora", SMoraConfig, SMoraModel)
