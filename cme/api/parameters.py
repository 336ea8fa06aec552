"""Parameter counts of adapters, without loading weights."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cme.api.adapter_values import given
from cme.api.call import StrPath, public
from cme.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from cme.adapters import AdapterSettings, ParameterCount

__all__ = ["Parameters", "count_parameters", "match_rank", "paper_parameters"]


@dataclass(frozen=True)
class Parameters:
    """The parameters that an adapter adds to a base.

    Attributes:
        settings: resolved settings of the adapter.
        count: the counts.
    """

    settings: "AdapterSettings"
    count: "ParameterCount"

    @property
    def trainable(self) -> int:
        """Number of trainable parameters."""
        return self.count.trainable

    @property
    def share_percent(self) -> float:
        """Trainable parameters in percent of the base's parameters."""
        return self.count.share_percent

    def to_frame(self) -> "pd.DataFrame":
        """Return the adapted modules.

        Returns:
            One row per module: ``module``, ``trainable``.
        """
        import pandas as pd

        return pd.DataFrame(list(self.count.per_module.items()), columns=["module", "trainable"])

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and settings as JSON values."""
        from cme.adapters import settings_to_mapping

        return asdict(self.count) | {"adapter": settings_to_mapping(self.settings)}


@public
def count_parameters(
    *,
    base: str = "smollm2-135m",
    method: str | None = None,
    rank: int | None = None,
    experts: int | None = None,
    alpha: float | None = None,
    dropout: float | None = None,
    target_modules: str | Sequence[str] | None = None,
    collaboration: bool | None = None,
    competition: bool | None = None,
    gate_sum: int | str | None = None,
    gate_scale: float | str | None = None,
    balance_weight: float | None = None,
    balance_form: str | None = None,
    router_hidden: int | None = None,
    options: Mapping[str, Any] | None = None,
    peft_config: StrPath | None = None,
) -> Parameters:
    """Count an adapter's parameters on the meta device, without weights: ``cme params``.

    Args:
        base: hub id, folder, ``config.json``, ``smollm2-135m``, or the shape ``chinese-llama-2-7b``.
        method: adapter method. None means ``lora``.
        rank: see `train`.
        experts: see `train`.
        alpha: see `train`.
        dropout: see `train`.
        target_modules: see `train`.
        collaboration: see `train`.
        competition: see `train`.
        gate_sum: see `train`.
        gate_scale: see `train`.
        balance_weight: see `train`.
        balance_form: see `train`.
        router_hidden: see `train`.
        options: see `train`.
        peft_config: see `train`.

    Returns:
        The counts and the resolved settings.

    Raises:
        CMEError: if the base or method is unknown, or the method does not have a setting.

    Example:
        >>> cme.count_parameters(base="chinese-llama-2-7b", method="lora", rank=16).trainable
        23199744
    """
    values = _values(locals())
    from cme.adapters import count, settings_from

    settings = settings_from(values, "adapter settings")
    return Parameters(settings, count(_place(base), settings))


@public
def match_rank(
    match_params: str,
    *,
    base: str = "smollm2-135m",
    method: str | None = None,
    rank: int | None = None,
    experts: int | None = None,
    alpha: float | None = None,
    dropout: float | None = None,
    target_modules: str | Sequence[str] | None = None,
    collaboration: bool | None = None,
    competition: bool | None = None,
    gate_sum: int | str | None = None,
    gate_scale: float | str | None = None,
    balance_weight: float | None = None,
    balance_form: str | None = None,
    router_hidden: int | None = None,
    options: Mapping[str, Any] | None = None,
    peft_config: StrPath | None = None,
) -> Parameters:
    """Find the largest rank of one expert within a budget of parameters: ``cme params --match-params``.

    Args:
        match_params: budget as a share of the base (``"1.35%"``), a number of parameters (``"95000000"``), or a method and its
            rank (``"lora:128"``).
        base: see `count_parameters`, as all others.
        method: see `train`.
        rank: must be None, because this function finds the rank.
        experts: see `train`.
        alpha: see `train`.
        dropout: see `train`.
        target_modules: see `train`.
        collaboration: see `train`.
        competition: see `train`.
        gate_sum: see `train`.
        gate_scale: see `train`.
        balance_weight: see `train`.
        balance_form: see `train`.
        router_hidden: see `train`.
        options: see `train`.
        peft_config: see `train`.

    Returns:
        The settings with that rank, and their counts.

    Raises:
        CMEError: as for `count_parameters`, or if the budget is invalid or too small for rank 1.

    Example:
        >>> cme.match_rank("lora:16", base="chinese-llama-2-7b", method="teamlora", experts=4).settings.rank
        3
    """
    values = _values(locals())
    from cme.adapters import match_rank as matched

    if rank is not None:
        raise UsageError("rank and match_params cannot be combined. Give one of them.")
    return Parameters(*matched(_place(base), values, match_params))


def _values(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the adapter's settings from a function's arguments."""
    return {"method": "lora"} | given(
        **{key: value for key, value in arguments.items() if key not in ("base", "match_params")}
    )


def _place(base: str) -> Any:
    from cme.adapters import SHAPES
    from cme.models.load import resolve_config

    return base if base in SHAPES else resolve_config(base)


@public
def paper_parameters() -> list[dict[str, Any]]:
    """Count the parameters of the paper's rows, and compare them with the reported shares: ``cme params --paper``.

    Returns:
        One mapping per row: ``method``, ``rank``, ``experts``, ``trainable``; shares of the base's parameters in percent, counted
        (``built_percent``), by formula (``formula_percent``) and as reported (``paper_percent``); their ``difference``; and the
        ``base_parameters``.

    Example:
        >>> {row["method"] for row in cme.paper_parameters()} >= {"lora", "teamlora"}
        True
    """
    from cme.adapters import count, formula_trainable, settings_from
    from cme.adapters.params import linear_shapes
    from cme.leaderboard.rendering.paper import load_paper

    reported = load_paper()
    base = reported.base.lower()
    shapes = linear_shapes(base).values()
    rows = []
    for row in reported.rows:
        experts: dict[str, Any] = {} if row.experts is None else {"experts": row.experts}
        counted = count(base, settings_from({"method": row.method, "rank": row.rank, **experts}))
        by_formula = formula_trainable(row.method, shapes, rank=row.rank, **experts)
        rows.append(
            {
                "method": row.method,
                "rank": row.rank,
                "experts": row.experts,
                "trainable": counted.trainable,
                "built_percent": counted.share_percent,
                "formula_percent": 100 * by_formula / counted.total_base,
                "paper_percent": row.trainable_percent,
                "difference": counted.share_percent - row.trainable_percent,
                "base_parameters": counted.total_base,
            }
        )
    return rows
