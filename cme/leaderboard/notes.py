"""What a reader must know beside the numbers: one sentence each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cme.leaderboard.board import is_stale_entry
from cme.leaderboard.markdown import ABSENT
from cme.records import Entry
from cme.suite import datasets
from cme.suite.baselines import BASELINES
from cme.suite.families import FAMILIES
from cme.suite.score import SCORER_VERSION
from cme.suite.tiers import TIERS

__all__ = ["changes_output", "notes", "remarks", "unshared"]

_DETECTABLE = {"quick": "2.8", "standard": "1.0"}
"""Planning figures in points: whole suite, accuracy 0.6, paired correlation 0.7, 80 % power."""

_LOCAL = frozenset({"mix", "name", "out", "output", "output_dir", "resume"})
"""Training settings that say where files lie, not how the adapter was trained."""


def notes(entries: Sequence[Entry]) -> list[str]:
    """The sentences under the main table.

    Args:
        entries: comparable ones (at least one), in the order of the table.
    """
    first = entries[0]
    found = [_suite(first), _tier(first.tier), _ties(entries)]
    if any(entry.settings.get("experts") for entry in entries):
        found.append("The rank is that of one expert: compare methods by their trainable parameters, not by rank.")
    if first.source.partition(":")[0] != "mini":
        found.append(_real_rows(first))
    if same := [entry.name for entry in entries if not changes_output(entry)]:
        found.append(f"The output of {', '.join(same)} equals the base's: the adapter was there, but changes nothing.")
    if stale := [entry.name for entry in entries if is_stale_entry(entry)]:
        found.append(
            f"Stale, listed last: {', '.join(stale)}. Scored by rules older than scorer version {SCORER_VERSION}: "
            "evaluate again."
        )
    if missing := sorted({str(split) for entry in entries for split in entry.provenance.get("missing", ())}):
        found.append(f"Splits that the source lacks: {', '.join(missing)}.")
    known = datasets(beside=True)
    changed = [
        name
        for name, fingerprint in first.task_fingerprints.items()
        if name in known and known[name].fingerprint != fingerprint
    ]
    if changed:
        found.append(f"Evaluated with other task files than this CME has: {', '.join(sorted(changed))}.")
    return found


def remarks(entry: Entry) -> str:
    """What marks a row: the base, a stale one, one that changes nothing."""
    marks = []
    if entry.method in BASELINES:
        marks.append(f"reference: {BASELINES[entry.method]}")
    elif entry.method == "base":
        marks.append(f"reference: the base with {entry.shots} examples" if entry.shots else "the base")
    if not changes_output(entry):
        marks.append("output equals the base's")
    if is_stale_entry(entry):
        marks.append(f"stale: scorer version {entry.scorer_version}")
    return "; ".join(marks)


def changes_output(entry: Entry) -> bool:
    """Whether the adapter changes the base's output; true for a base, which has none."""
    return bool(entry.provenance.get("adapter", {}).get("changes_output", True))


def unshared(entries: Sequence[Entry]) -> list[tuple[str, dict[str, str]]]:
    """Conditions in which comparable rows still differ: how they were evaluated, and how adapters were trained.

    Returns:
        (condition, its value by entry name), only where the values are not all equal. A base has no training.
    """
    conditions: dict[str, dict[str, Any]] = defaultdict(dict)
    for entry in entries:
        evaluation, training = entry.provenance.get("evaluation", {}), entry.provenance.get("training", {})
        if entry.method in BASELINES:
            continue
        for key in ("device", "dtype", "batch_size"):
            conditions[f"evaluation: {key.replace('_', ' ')}"][entry.name] = evaluation.get(key)
        if entry.method == "base":
            continue
        conditions["training: mix"][entry.name] = str(training.get("mix_fingerprint"))[:12]
        conditions["training: device"][entry.name] = entry.cost.get("device")
        conditions["training: target modules"][entry.name] = entry.settings.get("target_modules")
        conditions["training: alpha"][entry.name] = entry.settings.get("lora_alpha")
        for key in ("prompt_format", "dtype", "world_size", "examples"):
            conditions[f"training: {key.replace('_', ' ')}"][entry.name] = training.get(key)
        for key, value in _flat(training.get("settings", {})).items():
            if key not in _LOCAL:
                conditions[f"training: {key.replace('_', ' ')}"][entry.name] = value
    models = [entry.name for entry in entries if entry.method not in BASELINES]
    adapters = [entry.name for entry in entries if entry.name in models and entry.method != "base"]
    found = []
    for condition, values in conditions.items():
        values = {name: values.get(name) for name in (adapters if condition.startswith("training") else models)}
        if len({_show(value) for value in values.values()}) > 1:
            found.append((condition, {name: _show(value) for name, value in values.items()}))
    return found


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _show(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, list | tuple):
        return ", ".join(map(_show, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _suite(entry: Entry) -> str:
    families, known = len(entry.scores.families), datasets()
    done = sum(item.dataset in known for item in entry.scores.datasets)
    if done == len(known):
        return f"All {len(known)} datasets of the suite: the CME average is the unweighted mean of {families} family scores."
    return (
        f"The suite is incomplete, {done} of {len(known)} datasets: the CME average is that of the {families} families run "
        f"(of {len(FAMILIES)}) and is not comparable with an average over the whole suite."
    )


def _tier(tier: str) -> str:
    if tier == "smoke":
        return (
            f"Tier smoke, {TIERS[tier]} rows per dataset: too few for a standard error. It shows that everything runs."
        )
    if tier in _DETECTABLE:
        return (
            f"Tier {tier}, at most {TIERS[tier]} rows per dataset: differences below about {_DETECTABLE[tier]} points "
            "are not detectable. That is a planning figure for two adapters on the whole suite (paired, 80 % power), "
            "not a measurement."
        )
    return f"Tier {tier}: every evaluation row."


def _ties(entries: Sequence[Entry]) -> str:
    first = entries[0]
    order = "The order is that of the averages and is no ranking"
    stderr = first.scores.average_stderr
    if stderr is None:
        return f"{order}: without error bars no row can be called better than another."
    order = f"± is one standard error. {order}: differences within the error bars are ties."
    if len(entries) < 2:
        return order
    tied = [
        entry.name
        for entry in entries[1:]
        if entry.scores.average_stderr is not None
        and not is_stale_entry(entry)
        and first.scores.average - entry.scores.average < 2 * (stderr**2 + entry.scores.average_stderr**2) ** 0.5
    ]
    if not tied:
        return f"{order} No other row is within two combined standard errors of {first.name}."
    return (
        f"{order} Within two combined standard errors of {first.name}: {', '.join(tied)}. All rows answer the same "
        "questions, so a paired comparison can separate closer ones."
    )


def _real_rows(entry: Entry) -> str:
    return (
        f"The rows are real ones (source {entry.source}), and nobody has checked whether {entry.base} saw them in its "
        "own training: scores of SmolLM2 on real rows are smoke tests at every tier, and other bases may be flattered "
        "likewise."
    )
