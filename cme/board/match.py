"""Whether the output in a folder is that of a step, or why not."""

import functools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cme.board.files import damage_reported, read_mapping
from cme.board.step import Step
from cme.errors import CMEError
from cme.records.cost import without_out
from cme.records.grid import chosen_run
from cme.records.method import with_gate_sum
from cme.suite.scorer import SCORER_VERSION
from cme.training.settings import OPTIONAL

__all__ = ["entry_problem", "hardware_problem", "marker_problem", "report_problem"]

_COMMANDS = {
    "mix": "build-data",
    "rate": "train",
    "grid": "train --lr-grid",
    "run": "train",
    "result": "eval",
    "analysis": "analyse",
    "export": "export-lora",
}
"""The command in the marker of each kind of step."""

_EVALUATED = ("result", "analysis", "export")
"""The kinds of steps whose marker names the datasets of an evaluation."""

_AGAIN = " (remove {} to measure the costs of all rows again)"

_MOST = 3
"""Most differences in a message."""


def marker_problem(step: Step, marker: Mapping[str, Any]) -> str | None:
    """Describe why a folder with a marker cannot be the output of a step; None if it can.

    Args:
        step: the step.
        marker: content of the folder's ``.cme.json``.
    """
    command, settings = marker.get("command"), marker.get("settings")
    if command != _COMMANDS[step.kind] or not isinstance(settings, Mapping):
        return f"{step.out} has the output of 'cme {command}'"
    if step.kind == "export" and isinstance(measure := settings.get("measure"), Mapping):
        settings = {**settings, **measure}
    finished = bool(marker.get("finished"))
    differences = [
        _difference(step, key, settings, value)
        for key, value in step.expects.items()
        # The parts of an analysis may change until it is finished.
        if not (key == "parts" and not finished) and not _agrees(step, key, value, settings)
    ]
    if not differences and step.kind == "result" and finished:
        differences = _other_base(step) or _other_run(step)
    if not differences and step.kind in ("analysis", "export"):
        differences = _other_adapter(step, settings.get("adapter"))
    if not differences and (other := _other_mix(step.expects.get("mix"), settings.get("mix_fingerprint"))):
        differences = [other]
    if not differences:
        return None
    more = ", …" if len(differences) > _MOST else ""
    return f"{step.out} has work with other settings ({', '.join(differences[:_MOST])}{more})"


def _agrees(step: Step, key: str, value: Any, settings: Mapping[str, Any]) -> bool:
    if key in ("run", "mix", "allow_missing") or (step.kind == "result" and key == "base"):
        return True
    if key == "parts":
        return set(value) <= set(settings.get(key, value))
    if key == "datasets" and step.kind in _EVALUATED:
        return key not in settings or _same_datasets(settings[key], step.expects)
    if key == "ids":
        return bool(settings.get(key) == value)
    if key == "wording":
        return bool(settings.get(key, 0) == value)
    if key == "lr_grid":
        there: Any = settings.get(key)
        return isinstance(there, list) and set(there) <= set(value)
    if key == "tune":
        return _tunes_within(settings.get(key), value)
    if key in OPTIONAL:
        return bool(settings.get(key) == value)
    if key in ("gate_sum", "gate_scale"):
        # The two names of one setting.
        return with_gate_sum(settings).get("gate_sum") == with_gate_sum(step.expects).get("gate_sum")
    return key not in settings or bool(settings[key] == (list(value) if isinstance(value, tuple) else value))


def _tunes_within(there: Any, wanted: Mapping[str, Any] | None) -> bool:
    """Return whether a grid varies the wanted settings, and nothing but wanted values. None varies the learning rate only."""
    if there is None or wanted is None:
        return there is wanted
    if not isinstance(there, dict) or there.keys() != wanted.keys():
        return False
    return all(isinstance(own, list) and all(value in wanted[key] for value in own) for key, own in there.items())


def _difference(step: Step, key: str, settings: Mapping[str, Any], value: Any) -> str:
    there: Any = settings.get(key)
    if key == "gate_scale":
        key, there = "gate_sum", with_gate_sum(settings).get("gate_sum")
        value = with_gate_sum(step.expects).get("gate_sum")
    if key == "datasets" and step.kind in _EVALUATED:
        # Only the names that differ, because the suite has many.
        there, value = (
            [name for name in names if name not in others] for names, others in ((there, value), (value, there))
        )
        return f"datasets: {', '.join(there) or 'none'} only there, {', '.join(value) or 'none'} only on this board"
    return f"{key}: {there!r} there, {value!r} on this board"


def _same_datasets(names: Collection[str], wanted: Mapping[str, Any]) -> bool:
    return set(names) <= set(wanted["datasets"]) if wanted["allow_missing"] else set(names) == set(wanted["datasets"])


def _other_mix(mix: Path | None, fingerprint: str | None) -> str | None:
    """Return the difference between the mix of a run and that of the board, if both are known."""
    manifest = mix / "manifest.json" if mix else None
    if manifest is None or not fingerprint or not manifest.is_file():
        return None
    own = _fingerprint(manifest, manifest.stat().st_mtime_ns)
    if own in (None, fingerprint):
        return None
    return f"mix: {fingerprint[:12]} there, {str(own)[:12]} on this board"


@functools.lru_cache(maxsize=8)
def _fingerprint(manifest: Path, _changed: int) -> str | None:
    fingerprint = read_mapping(manifest).get("fingerprint")
    return fingerprint if isinstance(fingerprint, str) else None


def _other_base(step: Step) -> list[str]:
    """Return the difference between the base of a reference and that of the board."""
    wanted = step.expects.get("base")
    base = read_mapping(step.out / "result.json").get("base") if wanted else None
    return [f"base: {base!r} there, {wanted!r} on this board"] if base and base != wanted else []


def _other_run(step: Step) -> list[str]:
    """Return the difference between the adapter of a result and that of its run, if both are known."""
    return _other_adapter(step, (read_mapping(step.out / "result.json").get("adapter") or {}).get("fingerprint"))


def _other_adapter(step: Step, adapter: str | None) -> list[str]:
    """Return the difference between the adapter of an output and that of its run, if both are known."""
    run = step.expects.get("run")
    if run is None or (not (run / "run.json").is_file() and not (run / "lr-grid.json").is_file()):
        return []
    if (run / "lr-grid.json").is_file() and read_mapping(run / "lr-grid.json").get("best") is None:
        return []
    file = chosen_run(run) / "run.json"
    trained = read_mapping(file).get("adapter_fingerprint") if file.is_file() else None
    if not trained or not adapter or trained == adapter:
        return []
    return [f"adapter: {adapter[:12]} there, {trained[:12]} on this board"]


def report_problem(step: Step, report: Any) -> str | None:
    """Describe why a report of costs is not that of a step; None if it is.

    Args:
        step: the step.
        report: content of ``report.json``.
    """
    settings = report.get("settings") if isinstance(report, Mapping) else None
    if not isinstance(settings, Mapping):
        return f"{step.out} has a report that is not one of 'cme bench adapters'"
    place = report.get("surroundings")
    settings = {**(place if isinstance(place, Mapping) else {}), **settings}
    for key, value in step.expects.items():
        if key != "methods" and value is not None and settings.get(key, value) != value:
            return f"{step.out} has work with other settings ({key}: {settings[key]!r} there, {value!r} on this board)"
    lacking = [name for name in step.expects["methods"] if name not in settings.get("methods", ())]
    if not lacking:
        return None
    return f"{step.out} has a measurement without {', '.join(lacking)}{_AGAIN.format(step.out.parent)}"


def hardware_problem(step: Step) -> str | None:
    """Describe why the costs of a step cannot stand beside the other costs of its base; None if they can.

    Ratios from different machines are not comparable.

    Args:
        step: the step, whose report exists.
    """
    own = _hardware(step.out)
    for folder in sorted(step.out.parent.iterdir()):
        other = _hardware(folder)
        if own and other and other != own:
            difference = (
                f"{step.out} was measured on {own}, but {folder} on {other}, so their ratios are not comparable"
            )
            return difference + _AGAIN.format(step.out.parent)
    return None


def _hardware(folder: Path) -> str | None:
    file = folder / "report.json"
    place = read_mapping(file).get("surroundings") if file.is_file() else None
    return str(place.get("hardware")) if isinstance(place, Mapping) else None


def entry_problem(step: Step) -> str | None:
    """Describe why an entry has to be written (again); None if it is what the step writes.

    An entry counts without the folders from which it was made, because these may lie on another machine.

    Args:
        step: the step.

    Raises:
        CMEError: the entry is damaged, or a later version of CME has written it.
    """
    if not step.out.is_file():
        return "missing"
    entry = read_mapping(step.out)
    with damage_reported(step.out):
        if entry["scorer_version"] > SCORER_VERSION:
            raise CMEError(f"{step.out} was written by a later version of CME. Update CME, or remove the entry.")
        return _entry_problem(step, entry)


def _entry_problem(step: Step, entry: Mapping[str, Any]) -> str | None:
    wanted = step.expects
    tier, source, scored = entry["tier"], entry["source"], [item["dataset"] for item in entry["scores"]["datasets"]]
    if entry["scorer_version"] != SCORER_VERSION:
        return "of an earlier scorer"
    if tier != wanted["tier"]:
        return "of another tier"
    if source != wanted["source"]:
        return "of another source"
    if not _same_datasets(scored, wanted):
        return "with other datasets"
    dtypes = {run.get("provenance", {}).get("evaluation", {}).get("dtype") for run in entry["runs"]}
    if wanted["dtype"] and entry["base"] and not dtypes <= {None, wanted["dtype"]}:
        return "with another dtype"
    seeds = [run["seed"] for run in entry["runs"]]
    if "seeds" not in wanted and entry["base"] not in ("", wanted["base"]):
        return "of another base"
    if "seeds" in wanted:
        if _trained_on_another_mix(entry, wanted):
            return "of another mix"
        if entry["base"] != wanted["base"] or sorted(seeds) != list(wanted["seeds"]):
            return "of another base or other seeds"
        if wanted["rates"] is not None:
            tried = [(run.get("settings"), run["learning_rate"]) for run in (entry["lr_grid"] or {}).get("runs", ())]
            if tried != [(cell, rate) for cell in wanted["cells"] for rate in wanted["rates"]]:
                return "of another grid"
        there = with_gate_sum(entry["settings"]) | entry["recipe"]
        for key, value in {**wanted["settings"], **wanted["recipe"]}.items():
            own = there.get(key) if key in OPTIONAL else there.get(key, value)
            if own != value and own != (list(value) if isinstance(value, tuple) else value):
                return f"with another {key}"
        if wanted["retention"] and any(not run.get("retention") for run in entry["runs"]):
            return "without retention"
        if wanted["costs"] is not None and (problem := _other_costs(wanted["costs"], entry["cost_ratios"])):
            return problem
    if problem := _without_experts(entry["runs"], wanted):
        return problem
    if tuple(sorted(item["wording"] for item in entry.get("wordings", ()))) != tuple(wanted["variants"]):
        return "with other prompt variants"
    return _other_samples(step, entry)


def _other_costs(folder: Path, ratios: Mapping[str, Any]) -> str | None:
    """Describe why the measured costs of an entry are not those of the board.

    The measurements may be on another machine. If one of them is here, the costs of all rows must come from measurements that are
    here, because two machines may have one name.
    """
    if not ratios:
        return "without costs"
    file = folder / "report.json"
    if not file.is_file():
        others = folder.parent.glob("*/report.json")
        return "with costs that were measured apart from those of other rows" if any(others) else None
    report = read_mapping(file)
    try:
        medians = {(item["mode"], item["quartiles"]["median"]) for item in report["ratios"]}
        conditions = {key: report["surroundings"].get(key) for key in ("hardware", "device", "threads", "dtype")}
        conditions["rounds"] = report["settings"].get("rounds")
        words = report["surroundings"].get("command")
    except (AttributeError, KeyError, TypeError):
        # The step that measures reports what is wrong with the file.
        return "with costs of another measurement"
    own = {(mode, value["value"]) for mode in ("train", "prefill", "decode") if (value := ratios.get(mode))}
    same = conditions == {key: ratios.get(key) for key in conditions}
    same &= words is None or ratios.get("command") == " ".join(without_out(words))
    # The ratio of LoRA to itself is 1 in every measurement.
    same &= all(pair in medians or pair[1] == 1.0 for pair in own)
    return None if same else "with costs of another measurement"


def _without_experts(runs: Collection[Mapping[str, Any]], wanted: Mapping[str, Any]) -> str | None:
    """Describe which analysis or export the runs of an entry lack; None if they have all."""
    by_seed = {run["seed"]: run for run in runs}
    for seed, parts in wanted.get("analyses", {}).items():
        experts = by_seed[seed].get("experts") or {}
        if any(not experts.get(part) for part in parts):
            return f"without the analysis of seed {seed}"
    for seed, ways in wanted.get("exports", {}).items():
        worth = by_seed[seed].get("router_worth") or {}
        if not set(ways) <= {plain["how"] for plain in worth.get("exports", ())}:
            return f"without the exports of seed {seed}"
    return None


def _trained_on_another_mix(entry: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether a run of an entry had another mix, as far as the entry and the folder of the mix say so."""
    settings = wanted["mix_settings"]
    for run in entry["runs"]:
        training = run.get("provenance", {}).get("training") or {}
        if _other_mix(wanted["mix"], training.get("mix_fingerprint")):
            return True
        if wanted["mix_fingerprint"] not in (None, training.get("mix_fingerprint")):
            return True
        there = {key: value for key, value in (training.get("mix") or {}).items() if value is not None}
        if settings and "datasets" in there and not _same_datasets(there.pop("datasets"), settings):
            return True
        if any(
            there.get(key, value) != value
            for key, value in settings.items()
            if key not in ("datasets", "allow_missing")
        ):
            return True
    return False


def _other_samples(step: Step, entry: Mapping[str, Any]) -> str | None:
    """Compare the samples of an entry with the results that are there."""
    stored = {run["samples_sha256"] for run in entry["runs"]}
    stored |= {item["samples_sha256"] for item in entry.get("wordings", ())}
    for folder in (*step.parts.get("seeds", ()), *step.parts.get("variants", ())):
        file = folder / "result.json"
        if file.is_file() and read_mapping(file).get("samples_sha256") not in stored:
            return f"of other samples than {Path(folder).name}"
    return None
