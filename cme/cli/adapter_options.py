"""The adapter's settings as options; what is not given is left to the recipe or the default."""

from typing import Annotated, Any

import typer

__all__ = [
    "Alpha",
    "BalanceWeight",
    "Collaboration",
    "Competition",
    "Dropout",
    "Experts",
    "GateScale",
    "Method",
    "Rank",
    "RouterHidden",
    "TargetModules",
    "given",
]

Method = Annotated[str | None, typer.Option("--method", help="Adapter method, see: cme ls methods.")]
Rank = Annotated[int | None, typer.Option("--rank", help="Rank of the adapter, or of ONE expert.")]
Experts = Annotated[int | None, typer.Option("--experts", help="Number of experts.")]
Alpha = Annotated[
    float | None, typer.Option("--alpha", help="lora_alpha; the adapter is scaled by alpha / rank. Default: 2 × rank.")
]
Dropout = Annotated[float | None, typer.Option("--dropout", help="Dropout on the adapter's input.")]
TargetModules = Annotated[
    str | None,
    typer.Option("--target-modules", help="Comma-separated layer names. Default: the feed-forward projections."),
]
Collaboration = Annotated[
    bool | None, typer.Option("--collaboration/--no-collaboration", help="TeamLoRA: one shared A, split.")
]
Competition = Annotated[
    bool | None, typer.Option("--competition/--no-competition", help="TeamLoRA: gates by the interaction matrix.")
]
GateScale = Annotated[str | None, typer.Option("--gate-scale", help="What the gates sum to: a number, or 'experts'.")]
BalanceWeight = Annotated[
    float | None, typer.Option("--balance-weight", help="Weight of the balance term in the loss.")
]
RouterHidden = Annotated[
    int | None, typer.Option("--router-hidden", help="Hidden units of the router; 0: one linear layer.")
]


def given(
    method: str | None,
    rank: int | None,
    experts: int | None,
    alpha: float | None,
    dropout: float | None,
    target_modules: str | None,
    collaboration: bool | None,
    competition: bool | None,
    gate_scale: str | None,
    balance_weight: float | None,
    router_hidden: int | None,
) -> dict[str, Any]:
    """The settings that were given on the command line, as a recipe's ``adapter`` section has them."""
    values: dict[str, Any] = {
        "method": method,
        "rank": rank,
        "experts": experts,
        "alpha": alpha,
        "dropout": dropout,
        "target_modules": [name.strip() for name in target_modules.split(",")] if target_modules else None,
        "collaboration": collaboration,
        "competition": competition,
        "gate_scale": _number_or_word(gate_scale),
        "balance_weight": balance_weight,
        "router_hidden": router_hidden,
    }
    return {key: value for key, value in values.items() if value is not None}


def _number_or_word(text: str | None) -> float | str | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text
