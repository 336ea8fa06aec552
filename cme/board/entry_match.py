"""Whether an entry is the one that a step writes, or why it has to be written again."""

import itertools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cme.board.files import damage_reported, read_mapping
from cme.board.match import other_mix, other_text, same_datasets
from cme.board.step import Step
from cme.errors import CMEError
from cme.records.cost import without_out
from cme.records.method import with_gate_sum
from cme.suite.scorer import SCORER_VERSION
from cme.training.settings import OPTIONAL

__all__ = ["OPTIONS", "entry_problem"]

OPTIONS = {"warmup": 3, "batch": 4, "train_length": 128, "infer_length": 256}
"""Options of ``cme bench adapters`` that an entry records in its command only, with their defaults."""


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
    if not same_datasets(scored, wanted):
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
        if problem := _other_grid(entry, wanted):
            return problem
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
        if wanted["retention"] and any(other_text(run["retention"], wanted["text"]) for run in entry["runs"]):
            return "with the change of the loss on another text"
        if wanted["costs"] is not None and (problem := _other_costs(wanted, entry["cost_ratios"])):
            return problem
    if problem := _without_experts(entry["runs"], wanted):
        return problem
    if tuple(sorted(item["wording"] for item in entry.get("wordings", ()))) != tuple(wanted["variants"]):
        return "with other prompt variants"
    return _other_samples(step, entry)


def _other_grid(entry: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Describe how the grid of an entry differs from that of the board beside its rates, as far as the entry records it."""
    grid, rule = entry["lr_grid"], wanted["grid"]
    if not grid or rule is None:
        return None
    # Without a number of its own, the grid has the steps of the rows.
    whole = {run["cost"].get("steps") for run in entry["runs"] if run.get("cost")} - {None}
    steps = {rule["steps"]} if rule["steps"] is not None else whole
    if steps and grid.get("steps") is not None and grid["steps"] not in steps:
        return "of a grid with another number of steps"
    return "of a grid with another seed" if grid.get("seed") not in (None, rule["seed"]) else None


def _other_costs(wanted: Mapping[str, Any], ratios: Mapping[str, Any]) -> str | None:
    """Describe why the measured costs of an entry are not those of the board.

    The measurements may be on another machine. If one of them is here, the costs of all rows must come from measurements that are
    here, because two machines may have one name.
    """
    if not ratios:
        return "without costs"
    folder: Path = wanted["costs"]
    if _other_measurement(wanted["measured"], ratios):
        return "with costs that were measured with other settings"
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


def _other_measurement(wanted: Mapping[str, Any], ratios: Mapping[str, Any]) -> bool:
    """Return whether the settings of a measurement differ from those of the board, as far as an entry records them."""
    if any(ratios.get(key, wanted[key]) != wanted[key] for key in ("rounds", "dtype", "total_rank") if key in wanted):
        return True
    words = str(ratios.get("command") or "").split()
    if words[:3] != ["cme", "bench", "adapters"]:
        return False
    given = dict(itertools.pairwise(words))
    return any(
        given.get(f"--{key.replace('_', '-')}", str(default)) != str(wanted.get(key) or default)
        for key, default in OPTIONS.items()
        if key != "warmup" or key in wanted
    )


def _without_experts(runs: Collection[Mapping[str, Any]], wanted: Mapping[str, Any]) -> str | None:
    """Describe which analysis or export the runs of an entry lack; None if they have all."""
    by_seed = {run["seed"]: run for run in runs}
    for seed, parts in wanted.get("analyses", {}).items():
        experts = by_seed[seed].get("experts") or {}
        if any(not experts.get(part) for part in parts):
            return f"without the analysis of seed {seed}"
    for seed, ways in wanted.get("exports", {}).items():
        worth = by_seed[seed].get("router_worth") or {}
        there = {plain["how"]: plain for plain in worth.get("exports", ())}
        if not set(ways) <= there.keys():
            return f"without the exports of seed {seed}"
        rank = wanted["export_ranks"][seed]
        if any(there[how].get("rank", rank) != rank for how in ways if how != "mean"):
            return f"with exports of another rank for seed {seed}"
        if any(other_text(there[how].get("retention"), wanted["export_text"]) for how in ways):
            return f"with exports of seed {seed} that were measured on another text"
    return None


def _trained_on_another_mix(entry: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether a run of an entry had another mix, as far as the entry and the folder of the mix say so."""
    settings = wanted["mix_settings"]
    for run in entry["runs"]:
        training = run.get("provenance", {}).get("training") or {}
        if other_mix(wanted["mix"], training.get("mix_fingerprint")):
            return True
        if wanted["mix_fingerprint"] not in (None, training.get("mix_fingerprint")):
            return True
        there = dict(training.get("mix") or {})
        datasets = there.pop("datasets", None)
        if settings and datasets is not None and not same_datasets(datasets, settings):
            return True
        # A key that is absent is unknown. One that is there may be None, such as the size of a mix of all rows.
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
