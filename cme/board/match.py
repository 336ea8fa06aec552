"""Whether the output in a folder is that of a step, or why not."""

import functools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cme.board.files import read_mapping
from cme.board.step import Step
from cme.records.grid import chosen_run
from cme.records.method import with_gate_sum
from cme.training.settings import OPTIONAL

__all__ = ["hardware_problem", "marker_problem", "other_mix", "other_text", "report_problem", "same_datasets"]

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
        differences = _other_base(step) or _other_run(step) or _other_text_of(step)
    if not differences and step.kind in ("analysis", "export"):
        differences = _other_adapter(step, settings.get("adapter"))
    if not differences and (other := other_mix(step.expects.get("mix"), settings.get("mix_fingerprint"))):
        differences = [other]
    if not differences:
        return None
    more = ", …" if len(differences) > _MOST else ""
    return f"{step.out} has work with other settings ({', '.join(differences[:_MOST])}{more})"


def _agrees(step: Step, key: str, value: Any, settings: Mapping[str, Any]) -> bool:
    if key in ("run", "mix", "allow_missing", "text", "full_rank") or (step.kind == "result" and key == "base"):
        return True
    if key == "parts":
        return set(value) <= set(settings.get(key, value))
    if key == "datasets" and step.kind in _EVALUATED:
        return key not in settings or same_datasets(settings[key], step.expects)
    if key == "ids":
        return bool(settings.get(key) == value)
    if key == "wording":
        return bool(settings.get(key, 0) == value)
    if key == "dtype" and step.kind == "grid" and settings.get(key) == "auto":
        # What it stood for is in the markers of the grid's runs.
        return True
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


def same_datasets(names: Collection[str], wanted: Mapping[str, Any]) -> bool:
    """Return whether datasets are those of the board, some of which may be absent if it allows that.

    Args:
        names: names of the datasets.
        wanted: ``datasets`` and ``allow_missing`` of the board.
    """
    return set(names) <= set(wanted["datasets"]) if wanted["allow_missing"] else set(names) == set(wanted["datasets"])


def other_mix(mix: Path | None, fingerprint: str | None) -> str | None:
    """Return the difference between the mix of a run and that of the board, if both are known.

    Args:
        mix: folder of the board's mix.
        fingerprint: fingerprint of the mix of the run.
    """
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


def _other_text_of(step: Step) -> list[str]:
    """Return the difference between the text of a result's retention and that of the board, if both are known."""
    if "text" not in step.expects:
        return []
    different = other_text(read_mapping(step.out / "result.json").get("retention"), step.expects["text"])
    return ["retention_text: another text there"] if different else []


def other_text(retention: Any, wanted: Mapping[str, Any] | None) -> bool:
    """Return whether the change of the loss was measured on another text than that of the board.

    Args:
        retention: what a result or an entry records; None if nothing was measured.
        wanted: name and hash of the board's file, as `cme.board.wanted` reads it; None for the text of the source, if it has one.
    """
    if not isinstance(retention, Mapping) or "loss" not in retention:
        return False
    loss = retention["loss"]
    if wanted is None:
        # The name of a file has no slash, and that of wikitext-2 from the hub has some.
        return loss is not None and "/" not in loss["text"]
    known = "text" if wanted["text_sha256"] is None else "text_sha256"
    return loss is None or bool(loss[known] != wanted[known])


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
