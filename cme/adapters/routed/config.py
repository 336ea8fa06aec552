"""The base class of the configurations of methods with experts and a router."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cme.adapters.low_rank.config import LowRankConfig

__all__ = ["RoutedConfig"]


@dataclass
class RoutedConfig(LowRankConfig):
    """Base configuration of CME's methods with experts and a router.

    Args:
        r: Rank of ONE expert. The total rank of the adapter is ``experts * r``.
        experts: Number of experts, k.
        gate_sum: Sum of the gate weights of one token: 1, ``"experts"`` for the number of experts, or ``"free"`` for gate
            weights that are not normalised. The default is ``"free"`` for TeamLoRA and 1 for other methods.
        gate_scale: Former name of ``gate_sum``, accepted for old adapters.
        balance_weight: Weight of the balance loss. 0 turns it off.
        balance_form: ``"centred"``, ``"released"`` or ``"switch"``, the form of the balance loss.

    The other arguments are those of `LowRankConfig`.

    Raises:
        ValueError: A number is out of range, or ``layers_to_transform`` is combined with a regular expression in
            ``target_modules``.
    """

    r: int = field(default=8, metadata={"help": "Rank of ONE expert. The total rank of the adapter is experts * r."})
    experts: int = field(default=4, metadata={"help": "Number of experts, k."})
    gate_sum: int | str | None = field(
        default=None,
        metadata={
            "help": "Sum of the gate weights of one token: 1, 'experts' for the number of experts, or 'free' for gate weights "
            "that are not normalised. The default is 'free' for TeamLoRA (the formula of its paper; its released code uses "
            "'experts') and 1 for other methods. Use 1 to compare methods and ablations at equal scale."
        },
    )
    gate_scale: float | str | None = field(
        default=None,
        metadata={
            "help": "Former name of gate_sum, accepted for old adapters: the sum as a number, or 'experts'. Use gate_sum."
        },
    )
    balance_weight: float = field(
        default=0.0,
        metadata={
            "help": "Weight of the balance loss, which is the mean of (mean gate weight - 1/k)^2 over experts and layers, "
            "without padding. 0 turns it off."
        },
    )
    balance_form: str = field(
        default="centred",
        metadata={
            "help": "Form of the balance loss: 'centred' as described for balance_weight, or 'released' for "
            "(k * mean gate weight - 1/k)^2 as in TeamLoRA's released code, whose gradient is k^2 times as large, or 'switch' "
            "for k * sum(share of the choices * mean gate weight) as in the Switch Transformer and Mixtral."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.experts < 1:
            raise ValueError(f"experts must be at least 1, but is {self.experts}.")
        if self.gate_scale is not None and self.gate_sum is not None:
            raise ValueError("gate_sum and its former name gate_scale are both given. Give gate_sum only.")
        if isinstance(self.gate_scale, str) and self.gate_scale != "experts":
            raise ValueError(f"gate_scale must be a number or 'experts', but is {self.gate_scale!r}.")
        if self.gate_scale is None and self.gate_sum is None:
            self.gate_sum = 1
        if self.gate_sum not in (None, "free", 1, "experts") or isinstance(self.gate_sum, bool):
            raise ValueError(f"gate_sum must be 'free', 1 or 'experts', but is {self.gate_sum!r}.")
        if self.balance_form not in ("centred", "released", "switch"):
            raise ValueError(f"balance_form must be 'centred', 'released' or 'switch', but is {self.balance_form!r}.")

    @property
    def scaling(self) -> float:
        """The factor of the gated sum of experts: ``lora_alpha / r``, times the sum of normalised gate weights."""
        if "experts" in (self.gate_sum, self.gate_scale):
            return super().scaling * self.experts
        return super().scaling * (1.0 if self.gate_scale is None else float(self.gate_scale))

    @classmethod
    def ties(cls, values: Mapping[str, Any]) -> bool:
        """Return whether several experts share the largest gate weight of every token by construction.

        No expert of a token is the best one then. Measures of the best expert are left out or refused for such a method.

        Args:
            values: The fields of a configuration by name.
        """
        return False

    @property
    def watched(self) -> bool:
        """Whether forward passes in training must know the padding mask."""
        return bool(self.balance_weight)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict without unused settings, so that old configurations are written unchanged."""
        values: dict[str, Any] = super().to_dict()
        unused = [key for key in ("gate_sum", "gate_scale") if values[key] is None]
        unused += ["balance_form"] if self.balance_form == "centred" else []
        return {key: value for key, value in values.items() if key not in unused}
