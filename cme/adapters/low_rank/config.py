"""What the configurations of all low-rank methods share."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from peft.config import PeftConfig

from cme.adapters.card import complete_card
from cme.adapters.methods import METHODS
from cme.errors import AdapterError

__all__ = ["LowRankConfig"]


@dataclass
class LowRankConfig(PeftConfig):  # type: ignore[misc]
    """Settings that every low-rank method has; each field's help says what it does.

    Raises:
        ValueError: a number is out of range, or ``layers_to_transform`` goes with a pattern in ``target_modules``.
    """

    r: int = field(default=8, metadata={"help": "Rank of the adapter."})
    lora_alpha: float = field(default=16, metadata={"help": "Alpha: what the adapter adds is multiplied by alpha / r."})
    lora_dropout: float = field(
        default=0.0, metadata={"help": "Dropout on the adapter's input (never on a router's), in training only."}
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
        if self.r < 1:
            raise ValueError(f"r must be at least 1, found {self.r}.")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(f"lora_dropout must be at least 0 and below 1, found {self.lora_dropout}.")

    @classmethod
    def check_kwargs(cls, **kwargs: Any) -> dict[str, Any]:
        """The fields of a saved configuration, if this version knows them all; PEFT would leave the others out.

        Raises:
            AdapterError: it does not.
        """
        known = {item.name for item in fields(cls)}
        if unknown := sorted(kwargs.keys() - known):
            kind = str(kwargs.get("peft_type", ""))
            package = METHODS.source(kind.lower())
            raise AdapterError(
                f"{kind} has no setting {', '.join(unknown)} in this version of the package {package}. The adapter was "
                "saved by a newer one, and without the setting it would compute something else. Upgrade: "
                f"pip install -U {package}"
            )
        return kwargs

    @property
    def scaling(self) -> float:
        """What the adapter's product is multiplied by: alpha / r."""
        return float(self.lora_alpha) / self.r

    def to_dict(self) -> dict[str, Any]:
        """As PEFT's, with sets in sorted order: the same settings give the same file."""
        return {name: sorted(value) if isinstance(value, set) else value for name, value in super().to_dict().items()}

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        """As PEFT's, and the folder's README.md gets the line without which PEFT cannot load the adapter."""
        super().save_pretrained(save_directory, **kwargs)
        complete_card(Path(save_directory), METHODS.source(self.peft_type.value.lower()))
