"""Conditions in which comparable rows still differ: how they were evaluated, and how adapters were trained."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cme.leaderboard.cost import number, part
from cme.leaderboard.numbers import listing, shown
from cme.leaderboard.section import Section, make_table
from cme.records import Entry
from cme.suite.baselines import BASELINES

__all__ = ["conditions_section", "unshared"]


def conditions_section(entries: Sequence[Entry]) -> Section | None:
    """One line for each value of a condition that rows do not share."""
    lines = [
        [condition, value, listing(names)]
        for condition, groups in unshared(entries).items()
        for value, names in groups.items()
    ]
    if not lines:
        return None
    return Section(
        "What the rows do not share",
        "Recorded conditions of training and evaluation that are not the same for every row.",
        make_table(["condition", "value", "rows"], lines, text=(0, 1, 2)),
    )


def unshared(entries: Sequence[Entry]) -> dict[str, dict[str, list[str]]]:
    """Conditions that rows do not share: condition → value → names. Baselines have none, a base has no training."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    models = [entry for entry in entries if entry.method not in BASELINES]
    _collect(found, {entry.name: _evaluation(entry) for entry in models})
    _collect(found, {entry.name: _training(entry) for entry in models if entry.recipe})
    return {condition: dict(groups) for condition, groups in found.items() if len(groups) > 1}


def _collect(found: dict[str, dict[str, list[str]]], conditions: Mapping[str, Mapping[str, str]]) -> None:
    known = dict.fromkeys(key for values in conditions.values() for key in values)
    for condition in known:
        for name, values in conditions.items():
            found[condition][values.get(condition, shown(None))].append(name)


def _evaluation(entry: Entry) -> dict[str, str]:
    runs = [part(run.provenance, "evaluation") for run in entry.runs]
    return {
        f"evaluation: {key.replace('_', ' ')}": _over(runs, key) for key in ("device", "dtype", "threads", "batch_size")
    }


def _training(entry: Entry) -> dict[str, str]:
    runs = [part(run.provenance, "training") for run in entry.runs]
    found = {
        "training: mix": ", ".join(dict.fromkeys(str(run.get("mix_fingerprint"))[:12] for run in runs)),
        "training: device": _over([run.cost for run in entry.runs], "device"),
        "training: target modules": shown(entry.settings.get("target_modules")),
        "training: alpha / rank": _scale(entry),
    }
    found |= {f"training: {key.replace('_', ' ')}": _over(runs, key) for key in ("world_size", "threads", "examples")}
    return found | {f"training: {key.replace('_', ' ')}": shown(value) for key, value in _flat(entry.recipe).items()}


def _scale(entry: Entry) -> str:
    alpha, rank = number(entry.settings, "alpha"), number(entry.settings, "rank")
    return shown(None) if alpha is None or not rank else shown(alpha / rank)


def _over(runs: Sequence[Mapping[str, Any]], key: str) -> str:
    return ", ".join(dict.fromkeys(shown(run.get(key)) for run in runs))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
