"""CoMoL (arXiv 2603.00573) as a PEFT method. Importing this package registers it with PEFT."""

from cme.adapters.registration import add_peft_type, register_method

add_peft_type("COMOL")

from cme.adapters.comol.config import CoMolConfig  # noqa: E402 (the PEFT type must exist first)
from cme.adapters.comol.layer import CoMolLinear  # noqa: E402
from cme.adapters.comol.model import CoMolModel  # noqa: E402

__all__ = ["CoMolConfig", "CoMolLinear", "CoMolModel"]

register_method("comol", CoMolConfig, CoMolModel)
