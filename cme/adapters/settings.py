"""One adapter's settings."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from cme.adapters.targets import ALL_LINEAR
from cme.config import Items, validated
from cme.errors import nearest

__all__ = ["AdapterSettings", "option_problems"]


def _targets(names: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
    if names is not None and not (names and all(names)):
        raise ValueError(f"must be names of layers, or one regular expression, found {names!r}")
    return ALL_LINEAR if names == (ALL_LINEAR,) else names


def _gate_sum(value: int | float | str | None) -> int | str | None:
    if value in (1, "1"):
        return 1
    if value not in (None, "free", "experts"):
        raise ValueError(f"must be free, 1 or experts, found {value!r}")
    return value


def _balance_form(value: str) -> str:
    if value not in ("centred", "released"):
        raise ValueError(f"must be centred or released, found {value!r}")
    return value


def _gate_scale(value: float | str | None) -> float | str | None:
    if value is not None and (value != "experts" if isinstance(value, str) else value <= 0):
        raise ValueError(f"must be a number above 0, or 'experts', found {value!r}")
    return value


@validated("adapter settings")
class AdapterSettings:
    """One adapter's settings, flat; what a method does not honour keeps its default and has no effect.

    Attributes:
        method: a key of `cme.adapters.methods.METHODS`.
        rank: of the adapter (LoRA), or of ONE expert (methods with experts).
        experts: number of experts, k (the paper's best: 4).
        alpha: the adapter's output is multiplied by alpha / rank. None: twice the rank, so that this factor is 2 for
            every method and rank; the paper does not state its alpha, and twice the rank is LLaMA-Factory's default.
        dropout: on the adapter's input, in training.
        target_modules: names of layers, or a regular expression; None: the feed-forward projections, as in the paper.
        collaboration: one shared A split between the experts, or an A for each.
        competition: gates by the interaction matrix, or by plain softmax.
        gate_sum: ``"free"`` (the TeamLoRA paper's formula, without normalisation), 1 or ``"experts"``: what the gates of a
            token sum to. None: the method's default, which is ``"free"`` for TeamLoRA and 1 for the other methods.
        gate_scale: the setting of earlier versions in place of ``gate_sum``: the sum as a number, or ``"experts"``. It is
            still read, and keeps its meaning.
        balance_weight: weight of the balance term in the loss.
        balance_form: ``"centred"``, or ``"released"`` as in TeamLoRA's released code, whose gradient is k² times as large.
        router_hidden: hidden units of the router; 0: one linear layer.
        options: further fields of the configuration, for methods that CME does not know by heart.
    """

    method: str
    rank: Annotated[int, Field(ge=1)] = 8
    experts: Annotated[int, Field(ge=1)] = 4
    alpha: Annotated[float, Field(gt=0)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Annotated[Items[str] | str | None, AfterValidator(_targets)] = None
    collaboration: bool = True
    competition: bool = True
    gate_sum: Annotated[int | float | str | None, AfterValidator(_gate_sum)] = None
    gate_scale: Annotated[float | str | None, AfterValidator(_gate_scale)] = None
    balance_weight: Annotated[float, Field(ge=0)] = 0.0
    balance_form: Annotated[str, AfterValidator(_balance_form)] = "centred"
    router_hidden: Annotated[int, Field(ge=0)] = 0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def lora_alpha(self) -> float:
        """Alpha as it is used: as given, else twice the rank."""
        return 2.0 * self.rank if self.alpha is None else self.alpha


def option_problems(options: Mapping[str, Any], known: Iterator[str]) -> list[str]:
    """A line for each option that is not among ``known``."""
    names, problems = sorted(known), []
    for key in options:
        if key not in names:
            hint = nearest(str(key), names)
            problems.append(f"unknown option {key!r}" + (f" (did you mean {hint!r}?)" if hint else ""))
    return problems
