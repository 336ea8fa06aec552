"""The description of an adapter method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from cme.adapters.facts import Facts
from cme.adapters.settings import AdapterSettings

__all__ = ["PLAIN", "ROUTED", "Method", "Ranks"]

Ranks = Literal["own", "shared", "single"]
"""To which experts the ranks of a method belong. `Method` explains the values."""

PLAIN = ("rank", "alpha", "dropout", "target_modules")
"""Settings of every low-rank adapter."""

ROUTED = (*PLAIN, "experts", "gate_sum", "gate_scale", "balance_weight", "balance_form")
"""Settings of every method with experts."""


@dataclass(frozen=True)
class Method:
    """A method known to CME.

    Attributes:
        name: The method's name in recipes and on the command line.
        summary: A description of one line.
        settings: The fields of `AdapterSettings` that the method uses, apart from ``method``.
        citation: The publication that introduced the method.
        make: Creates PEFT's configuration from the settings and the fields that all configurations share. It imports peft.
        package: The module that registers the method with PEFT when it is imported. It is empty for PEFT's own methods.
        check: Returns the problems of ``settings.options``, one line each. It imports peft. None if the method has no
            options.
        gate_sum: The default of the setting ``gate_sum``, for methods that have it.
        free_gates: Whether ``gate_sum`` can be ``"free"``, because the gate weights do not sum to 1 by themselves.
        ranks: To which experts the ranks belong. ``"own"``: each expert has ``rank`` ranks, so the total rank is experts · rank.
            ``"shared"``: all experts share the ranks of one A and one B, so the total rank is the rank. ``"single"``: every
            rank is an expert, so there is no setting ``experts``. It has no effect for methods without experts.
        facts: What is learned, whether the method merges, and more. Those of CME's own methods are in
            `cme.adapters.facts.FACTS`.
    """

    name: str
    summary: str
    settings: tuple[str, ...]
    citation: str
    make: Callable[[AdapterSettings, Mapping[str, Any]], Any]
    package: str = ""
    check: Callable[[Mapping[str, Any]], list[str]] | None = None
    gate_sum: int | str = 1
    free_gates: bool = False
    ranks: Ranks = "own"
    facts: Facts = field(default_factory=Facts)

    def __post_init__(self) -> None:
        if self.ranks not in get_args(Ranks):
            raise ValueError(f"ranks must be {', '.join(get_args(Ranks))}, but is {self.ranks!r}.")
        if self.ranks == "single" and "experts" in self.settings:
            raise ValueError("ranks is 'single', so every rank is an expert. Leave 'experts' out of settings.")

    @property
    def routed(self) -> bool:
        """Whether the method has experts."""
        return "experts" in self.settings or self.ranks == "single"

    @property
    def multiplies(self) -> bool:
        """Whether the total rank is the rank times the number of experts."""
        return "experts" in self.settings and self.ranks == "own"

    def total_rank(self, settings: AdapterSettings) -> int:
        """Return the rank of all experts together, or of the adapter if there are no experts."""
        return settings.rank * (settings.experts if self.multiplies else 1)
