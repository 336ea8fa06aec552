"""What the configurations of all routed methods share."""

from dataclasses import dataclass, field
from typing import Any

from cme.adapters.low_rank.config import LowRankConfig

__all__ = ["RoutedConfig"]


@dataclass
class RoutedConfig(LowRankConfig):
    """Settings that every method with experts has; each field's help says what it does.

    Raises:
        ValueError: a number is out of range, or ``layers_to_transform`` goes with a pattern in ``target_modules``.
    """

    r: int = field(default=8, metadata={"help": "Rank of ONE expert; the adapter's whole rank is experts times r."})
    experts: int = field(default=4, metadata={"help": "Number of experts, k."})
    gate_sum: int | str | None = field(
        default=None,
        metadata={
            "help": "What the gates of a token sum to: 1, 'experts' for the number of experts, or 'free' for gates that are "
            "not normalised. Default: 1, and 'free' for TeamLoRA, which is the formula of its paper; TeamLoRA was released "
            "with 'experts'. Use 1 to compare methods and ablations at equal scale."
        },
    )
    gate_scale: float | str | None = field(
        default=None,
        metadata={
            "help": "Earlier name of gate_sum, still read: the sum as a number, or 'experts'. New adapters set gate_sum."
        },
    )
    balance_weight: float = field(
        default=0.0,
        metadata={
            "help": "Weight of the balance term in the training loss: the mean over experts of (mean gate - 1/k)^2, "
            "averaged over layers, padding left out. 0 turns it off."
        },
    )
    balance_form: str = field(
        default="centred",
        metadata={
            "help": "'centred': as balance_weight says. 'released': (k * mean gate - 1/k)^2 as in TeamLoRA's released code, "
            "whose gradient is k^2 times as large."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.experts < 1:
            raise ValueError(f"experts must be at least 1, found {self.experts}.")
        if self.gate_scale is not None and self.gate_sum is not None:
            raise ValueError(
                "gate_sum and gate_scale are both given; gate_scale is the older name, give gate_sum only."
            )
        if isinstance(self.gate_scale, str) and self.gate_scale != "experts":
            raise ValueError(f"gate_scale must be a number or 'experts', found {self.gate_scale!r}.")
        if self.gate_scale is None and self.gate_sum is None:
            self.gate_sum = 1
        if self.gate_sum not in (None, "free", 1, "experts") or isinstance(self.gate_sum, bool):
            raise ValueError(f"gate_sum must be 'free', 1 or 'experts', found {self.gate_sum!r}.")
        if self.balance_form not in ("centred", "released"):
            raise ValueError(f"balance_form must be 'centred' or 'released', found {self.balance_form!r}.")

    @property
    def scaling(self) -> float:
        """What the gated sum of experts is multiplied by: alpha / r, times what normalised gates sum to."""
        if "experts" in (self.gate_sum, self.gate_scale):
            return super().scaling * self.experts
        return super().scaling * (1.0 if self.gate_scale is None else float(self.gate_scale))

    def to_dict(self) -> dict[str, Any]:
        """As PEFT's, without settings that are not in use: a configuration of earlier versions is written as it was."""
        values: dict[str, Any] = super().to_dict()
        unused = [key for key in ("gate_sum", "gate_scale") if values[key] is None]
        unused += ["balance_form"] if self.balance_form == "centred" else []
        return {key: value for key, value in values.items() if key not in unused}
