"""What the configurations of all routed methods share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peft.config import PeftConfig

from cme.adapters.card import complete_card

__all__ = ["RoutedConfig"]


@dataclass
class RoutedConfig(PeftConfig):  # type: ignore[misc]
    """Settings that every method with experts has; each field's help says what it does.

    Raises:
        ValueError: a number is out of range, or ``layers_to_transform`` goes with a pattern in ``target_modules``.
    """

    r: int = field(default=8, metadata={"help": "Rank of ONE expert; the adapter's whole rank is experts times r."})
    experts: int = field(default=4, metadata={"help": "Number of experts, k."})
    lora_alpha: float = field(
        default=16,
        metadata={"help": "Alpha: what the adapter adds is multiplied by alpha / r, r being one expert's rank."},
    )
    lora_dropout: float = field(
        default=0.0, metadata={"help": "Dropout on the input of the experts (never of the router), in training only."}
    )
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
    target_modules: list[str] | str | None = field(
        default=None,
        metadata={
            "help": "Names of the layers to adapt, or a regular expression, or 'all-linear'. Default: the feed-forward "
            "projections found in the model."
        },
    )
    exclude_modules: list[str] | str | None = field(
        default=None, metadata={"help": "Names of layers not to adapt, or a regular expression."}
    )
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "Modules outside the adapter that are trained and saved whole."}
    )
    layers_to_transform: list[int] | int | None = field(
        default=None, metadata={"help": "Index or indices of the only transformer layers to adapt."}
    )
    layers_pattern: list[str] | str | None = field(
        default=None,
        metadata={"help": "Name of the list of layers that layers_to_transform counts in, if it is unusual."},
    )
    bias: str = field(
        default="none", metadata={"help": "Which biases of the base are trained: 'none', 'all' or '<method>_only'."}
    )
    init_weights: bool = field(
        default=True,
        metadata={
            "help": "Start with B = 0, so that the adapter changes nothing; False starts B at random (for tests)."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.target_modules, str):
            for name in ("layers_to_transform", "layers_pattern"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} cannot go with target_modules={self.target_modules!r}: give a list of names."
                    )
        for name in ("target_modules", "exclude_modules"):
            if isinstance(names := getattr(self, name), list):
                setattr(self, name, set(names))
        for name, lowest in (("r", 1), ("experts", 1)):
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} must be at least {lowest}, found {getattr(self, name)}.")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(f"lora_dropout must be at least 0 and below 1, found {self.lora_dropout}.")
        if isinstance(self.gate_scale, str) and self.gate_scale != "experts":
            raise ValueError(f"gate_scale must be a number or 'experts', found {self.gate_scale!r}.")

    @property
    def scaling(self) -> float:
        """What the gated sum of experts is multiplied by: alpha / r, times what the gates sum to."""
        scale = self.experts if isinstance(self.gate_scale, str) else self.gate_scale
        return float(self.lora_alpha) / self.r * scale

    def to_dict(self) -> dict[str, Any]:
        """As PEFT's, with sets in sorted order: the same settings give the same file."""
        return {name: sorted(value) if isinstance(value, set) else value for name, value in super().to_dict().items()}

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        """As PEFT's, and the folder's README.md gets the line without which PEFT cannot load the adapter."""
        super().save_pretrained(save_directory, **kwargs)
        complete_card(Path(save_directory))
