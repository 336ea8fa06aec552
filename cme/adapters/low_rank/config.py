"""The base class of the configurations of CME's low-rank methods."""

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
    """Base configuration of CME's low-rank methods.

    Args:
        r: Rank of the adapter.
        lora_alpha: The output of the adapter is scaled by ``lora_alpha / r``.
        lora_dropout: Dropout probability of the adapter's input during training. It never applies to a router's input.
        target_modules: Names of the modules to adapt, a regular expression, or ``"all-linear"``. If None, the feed-forward
            projections of the base are adapted.
        exclude_modules: Names of the modules not to adapt, or a regular expression.
        modules_to_save: Modules apart from the adapter that are trained and saved completely.
        layers_to_transform: The layer indices to adapt. If None, all layers are adapted.
        layers_pattern: Name of the list of layers to which ``layers_to_transform`` refers, if it is not a common one.
        bias: Bias parameters of the base to train: ``"none"``, ``"all"`` or ``"<method>_only"``.
        init_weights: Whether to initialise B with zeros, so that a new adapter does not change the output.

    Raises:
        ValueError: A number is out of range, or ``layers_to_transform`` is combined with a regular expression in
            ``target_modules``.
    """

    r: int = field(default=8, metadata={"help": "Rank of the adapter."})
    lora_alpha: float = field(default=16, metadata={"help": "The output of the adapter is scaled by lora_alpha / r."})
    lora_dropout: float = field(
        default=0.0,
        metadata={
            "help": "Dropout probability of the adapter's input during training. It never applies to a router's input."
        },
    )
    target_modules: list[str] | str | None = field(
        default=None,
        metadata={
            "help": "Names of the modules to adapt, a regular expression, or 'all-linear'. If None, the feed-forward "
            "projections of the base are adapted."
        },
    )
    exclude_modules: list[str] | str | None = field(
        default=None, metadata={"help": "Names of the modules not to adapt, or a regular expression."}
    )
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "Modules apart from the adapter that are trained and saved completely."}
    )
    layers_to_transform: list[int] | int | None = field(
        default=None, metadata={"help": "The layer indices to adapt. If None, all layers are adapted."}
    )
    layers_pattern: list[str] | str | None = field(
        default=None,
        metadata={"help": "Name of the list of layers to which layers_to_transform refers, if it is not a common one."},
    )
    bias: str = field(
        default="none", metadata={"help": "Bias parameters of the base to train: 'none', 'all' or '<method>_only'."}
    )
    init_weights: bool = field(
        default=True,
        metadata={
            "help": "Whether to initialise B with zeros, so that a new adapter does not change the output. False "
            "initialises B randomly, which is useful for tests."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.target_modules, str):
            for name in ("layers_to_transform", "layers_pattern"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} cannot be combined with target_modules={self.target_modules!r}. Give a list of module names."
                    )
        for name in ("target_modules", "exclude_modules"):
            if isinstance(names := getattr(self, name), list):
                setattr(self, name, set(names))
        if self.r < 1:
            raise ValueError(f"r must be at least 1, but is {self.r}.")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(f"lora_dropout must be at least 0 and below 1, but is {self.lora_dropout}.")

    @classmethod
    def check_kwargs(cls, **kwargs: Any) -> dict[str, Any]:
        """Return the fields of a saved configuration, after checking that this version knows all of them.

        PEFT alone would ignore unknown fields.

        Raises:
            AdapterError: A field is unknown.
        """
        known = {item.name for item in fields(cls)}
        if unknown := sorted(kwargs.keys() - known):
            kind = str(kwargs.get("peft_type", ""))
            package = METHODS.source(kind.lower())
            raise AdapterError(
                f"{kind} has no setting {', '.join(unknown)} in this version of the package {package}, so the adapter was "
                f"saved by a newer version and would give other outputs here. Upgrade: pip install -U {package}"
            )
        return kwargs

    @property
    def scaling(self) -> float:
        """The factor of the adapter's output, ``lora_alpha / r``."""
        return float(self.lora_alpha) / self.r

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict, with sets as sorted lists, so that equal settings give equal files."""
        return {name: sorted(value) if isinstance(value, set) else value for name, value in super().to_dict().items()}

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        """Save the configuration, and add to the folder's README.md how to load the adapter."""
        super().save_pretrained(save_directory, **kwargs)
        complete_card(Path(save_directory), METHODS.source(self.peft_type.value.lower()))
