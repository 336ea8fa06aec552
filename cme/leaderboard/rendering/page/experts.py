"""The data of the page's section about experts. Pages of boards without analyses do not have this section."""

from collections.abc import Sequence
from typing import Any

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.experts import OverSeeds, share_percent, standing_experts
from cme.leaderboard.ranking.numbers import rounded
from cme.leaderboard.ranking.routers import standing_worth
from cme.leaderboard.rendering.page.pack import json_for_html
from cme.records import ExpertsLoad, GateAgreement, Interval, MaskScore, RunExperts, ShapleyAnalysis

__all__ = ["MOST_BYTES", "page_experts"]

MOST_BYTES = 500_000
"""Most bytes of the section's data. Adapters that do not fit are left out, and the page says so."""

_DIGITS = 4


def page_experts(standing: Standing, budget: int = MOST_BYTES) -> dict[str, Any] | None:
    """Return the data of the section, or None if no ranked row has an analysis.

    Args:
        standing: the compared rows.
        budget: most bytes of the data of single adapters.

    Returns:
        ``rows``: the figures of each row over its seeds. ``adapters``: the values of each analysed adapter, in the order of the
        rows. ``left_out``: number of adapters that did not fit.
    """
    rows = standing_experts(standing)
    if not rows:
        return None
    routers = standing_worth(standing)
    places = {entry.name: place for place, entry in enumerate(standing.entries)}
    adapters: list[dict[str, Any]] = []
    left_out = 0
    for row in standing.shown:
        for run in row.runs:
            if run.experts is None:
                continue
            item = {"row": places[row.name], "seed": run.seed, **_adapter(run.experts, row.tier)}
            budget -= len(json_for_html(item)) + 1
            if budget < 0:
                left_out += 1
            else:
                adapters.append(item)
    return {
        "rows": [
            {
                "row": places[name],
                "experts": item.experts,
                "rank": item.rank,
                "seeds": item.seeds,
                "runs": item.runs,
                "p": rounded(item.p),
                "effective": _over_seeds(item.effective),
                "entropy": _percent(item.entropy),
                "information": _over_seeds(item.information),
                "top1": _over_seeds(item.top1),
                "top1_renormalised": _over_seeds(item.top1_renormalised),
                "undefined": item.undefined,
                "agreement": _over_seeds(item.agreement),
                "worth": _over_seeds(routers[name].average) if name in routers else None,
            }
            for name, item in rows.items()
        ],
        "adapters": adapters,
        "left_out": left_out,
    }


def _adapter(experts: RunExperts, tier: str) -> dict[str, Any]:
    return {
        "experts": experts.experts,
        "load": None if experts.load is None else _load(experts.load),
        "masks": [_mask(item, experts.experts, tier) for item in experts.redundancy],
        "shapley": None if experts.shapley is None else _shapley(experts.shapley),
    }


def _load(load: ExpertsLoad) -> dict[str, Any]:
    return {
        "phi": _shares(load.phi),
        "subjects": [[name, _shares(phi)] for name, phi in load.subjects.items()],
        "datasets": [[name, _shares(phi)] for name, phi in load.datasets.items()],
    }


def _mask(item: MaskScore, experts: int, tier: str) -> dict[str, Any]:
    kept = [int(number) for number in item.experts.removeprefix("keep:").split(",") if number.isdigit()]
    kind, expert = item.name, None
    if len(kept) == 1:
        kind, expert = "keep", kept[0]
    elif kept and len(kept) == experts - 1:
        kind, expert = "drop", next(number for number in range(experts) if number not in kept)
    return {
        "kind": kind,
        "expert": expert,
        "score": _interval(item.score["average"]),
        "gain": [_short(value) for value in share_percent(item.share_of_gain["average"], tier)],
    }


def _shapley(shapley: ShapleyAnalysis) -> dict[str, Any]:
    gates = shapley.average.gates
    return {
        "values": [_interval(item) for item in shapley.average.values],
        "soft": [_interval(item) for item in shapley.soft.values],
        "gates": None if gates is None else _shares(gates),
        "interactions": [[name, _interval(item)] for name, item in shapley.average.interactions.items()],
        "datasets": [
            [item.name, _shares(item.gates), [_interval(value) for value in item.values]]
            for item in shapley.datasets
            if item.gates is not None
        ],
        "agreement": _agreement(shapley.agreement),
    }


def _agreement(item: GateAgreement | None) -> list[float | None] | None:
    return None if item is None or item.value is None else [_short(item.value), _short(item.low), _short(item.high)]


def _interval(item: Interval) -> list[float | None]:
    return [_short(item.value), _short(item.low), _short(item.high)]


def _over_seeds(item: OverSeeds | None) -> list[float | None] | None:
    return None if item is None else [rounded(item.value), rounded(item.low), rounded(item.high)]


def _percent(item: OverSeeds | None) -> list[float | None] | None:
    if item is None:
        return None
    return [None if value is None else rounded(100 * value) for value in (item.value, item.low, item.high)]


def _shares(values: Sequence[float]) -> list[float | None]:
    return [_short(value) for value in values]


def _short(value: float | None) -> float | None:
    """Round a value for a plot, so that many adapters fit into a page."""
    return None if value is None else round(value, _DIGITS)
