"""The settings of one adapter."""

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
    if value not in ("centred", "released", "switch"):
        raise ValueError(f"must be centred, released or switch, found {value!r}")
    return value


def _gate_scale(value: float | str | None) -> float | str | None:
    if value is not None and (value != "experts" if isinstance(value, str) else value <= 0):
        raise ValueError(f"must be a number above 0, or 'experts', found {value!r}")
    return value


@validated("adapter settings")
class AdapterSettings:
    """The settings of one adapter. Settings that the method does not use keep their defaults and have no effect.

    Attributes:
        method: A key of `cme.adapters.methods.METHODS`.
        rank: Rank of the adapter, or of ONE expert for methods with experts.
        experts: Number of experts, k. The TeamLoRA paper reports its best results with 4.
        alpha: The output of the adapter is scaled by ``alpha / rank``. None means twice the rank, so that the factor is 2
            for every method and rank. The paper does not state its alpha. Twice the rank is LLaMA-Factory's default.
        dropout: Dropout probability of the adapter's input during training.
        target_modules: Names of the modules to adapt, or a regular expression. None means the feed-forward projections,
            as in the paper.
        collaboration: Whether the experts share one A instead of having an A each.
        competition: Whether an interaction matrix changes the softmax gate weights.
        gate_sum: Sum of the gate weights of one token: 1, ``"experts"``, or ``"free"`` (not normalised, the formula of the
            TeamLoRA paper; refused by methods whose gate weights sum to 1 by definition). None means the method's default,
            which is ``"free"`` for TeamLoRA and 1 for other methods.
        gate_scale: Former name of ``gate_sum``: the sum as a number, or ``"experts"``. It is still accepted.
        balance_weight: Weight of the balance loss. 0 turns it off.
        balance_form: ``"centred"``, ``"released"`` as in TeamLoRA's released code, whose gradient is k² times as large, or
            ``"switch"`` as in the Switch Transformer.
        router_hidden: Number of hidden units of the router. 0 means one linear layer.
        options: Further fields of PEFT's configuration, for methods that accept them.
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
        """The value of alpha in use: the given one, or twice the rank."""
        return 2.0 * self.rank if self.alpha is None else self.alpha


_FEW = 24
"""Most options that a message lists."""


def option_problems(options: Mapping[str, Any], known: Iterator[str]) -> list[str]:
    """List the options that are not among ``known``, with the nearest known name."""
    names, problems = sorted(known), []
    for key in options:
        if key not in names:
            hint = nearest(str(key), names)
            few = f" (the options are {', '.join(names)})" if len(names) <= _FEW else ""
            problems.append(f"unknown option {key!r}" + (f" (did you mean {hint!r}?)" if hint else few))
    return problems
