"""What the configurations of all routed methods share."""

from dataclasses import dataclass, field

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
    gate_scale: float | str = field(
        default=1.0,
        metadata={
            "help": "What each token's gates sum to: a number, or 'experts' for the number of experts. With 1 (the "
            "default) methods and ablations are compared at equal scale; TeamLoRA was released with 'experts'."
        },
    )
    balance_weight: float = field(
        default=0.0,
        metadata={
            "help": "Weight of the balance term in the training loss: the mean over experts of (mean gate - 1/k)^2, "
            "averaged over layers, padding left out. 0 turns it off."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.experts < 1:
            raise ValueError(f"experts must be at least 1, found {self.experts}.")
        if isinstance(self.gate_scale, str) and self.gate_scale != "experts":
            raise ValueError(f"gate_scale must be a number or 'experts', found {self.gate_scale!r}.")

    @property
    def scaling(self) -> float:
        """What the gated sum of experts is multiplied by: alpha / r, times what the gates sum to."""
        return super().scaling * (self.experts if isinstance(self.gate_scale, str) else self.gate_scale)
