"""TeamLoRA (arXiv 2408.09856) as a PEFT method. Importing this package registers it with PEFT."""

from cme.adapters.registration import add_peft_type, register_method

add_peft_type("TEAMLORA")

from cme.adapters.teamlora.config import TeamLoraConfig  # noqa: E402 (the PEFT type must exist first)
from cme.adapters.teamlora.layer import TeamLoraLinear  # noqa: E402
from cme.adapters.teamlora.model import TeamLoraModel  # noqa: E402

__all__ = ["TeamLoraConfig", "TeamLoraLinear", "TeamLoraModel"]

register_method("teamlora", TeamLoraConfig, TeamLoraModel)
