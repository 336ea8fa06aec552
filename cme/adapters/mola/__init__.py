"""MoLA (arXiv 2402.08562) as a PEFT method. Importing this package registers it with PEFT."""

from cme.adapters.registration import add_peft_type, register_method

add_peft_type("MOLA")

from cme.adapters.mola.config import MolaConfig  # noqa: E402 (the PEFT type must exist first)
from cme.adapters.mola.layer import MolaLinear  # noqa: E402
from cme.adapters.mola.model import MolaModel  # noqa: E402

__all__ = ["MolaConfig", "MolaLinear", "MolaModel"]

register_method("mola", MolaConfig, MolaModel)
