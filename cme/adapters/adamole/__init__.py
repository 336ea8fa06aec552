"""AdaMoLE (arXiv 2405.00361) as a PEFT method. Importing this package registers it with PEFT."""

from cme.adapters.registration import add_peft_type, register_method

add_peft_type("ADAMOLE")

from cme.adapters.adamole.config import AdaMoleConfig  # noqa: E402 (the PEFT type must exist first)
from cme.adapters.adamole.layer import AdaMoleLinear  # noqa: E402
from cme.adapters.adamole.model import AdaMoleModel  # noqa: E402

__all__ = ["AdaMoleConfig", "AdaMoleLinear", "AdaMoleModel"]

register_method("adamole", AdaMoleConfig, AdaMoleModel)
