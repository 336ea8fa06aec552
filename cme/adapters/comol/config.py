"""Configuration of CoMoL."""

from dataclasses import dataclass, field

from peft import PeftType

from cme.adapters.routed.config import RoutedConfig

__all__ = ["CoMolConfig"]


@dataclass
class CoMolConfig(RoutedConfig):
    """Configuration of CoMoL (arXiv 2603.00573): one A and one B for all experts, and an r x r core matrix for each.

    Args:
        r: Rank of the adapter. All experts share its A and B.
        core_router: Whether the router reads A x, which has r values, instead of x.

    The other arguments are those of `RoutedConfig`.
    """

    r: int = field(default=8, metadata={"help": "Rank of the adapter. All experts share its A and B."})
    core_router: bool = field(
        default=True,
        metadata={"help": "Whether the router reads A x, which has r values (the 'core router'), instead of x."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["COMOL"]
