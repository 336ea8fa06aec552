"""What a row may show beside its scores: the grid that its learning rate was chosen by, and measured costs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cme.config import build
from cme.errors import CMEError, UsageError
from cme.files import read_json
from cme.records import ChosenGrid, Grid, MeasuredRatios, Ratio, Run, read_record
from cme.records.method import UNMEASURED

__all__ = ["RATIOS", "cost_ratios", "lr_grid"]

RATIOS = ("train", "prefill", "decode", "memory")
"""What ``cost_ratios`` may hold, each as value, low, high over LoRA of equal total rank; memory is that of training."""

_Ends = dict[str, float | None]
"""A ratio before it is checked: value, low, high."""

_FORMS = ("fused", "plain")
"""How CME runs a method; ``loop`` is the papers' code."""


def lr_grid(path: Path, run: Run) -> ChosenGrid:
    """The learning-rate grid that a run's rate was chosen by.

    Args:
        path: the folder of ``cme train --lr-grid``, or its ``lr-grid.json``.
        run: one of the row's.

    Raises:
        CMEError: there is no such file.
        UsageError: it is another method's, is not done, or chose another rate than the run has.
    """
    file = path / "lr-grid.json" if path.is_dir() else path
    grid = read_record(file, Grid)
    if grid.method != run.method:
        raise UsageError(f"{file} is a grid of {grid.method}; the row is {run.method}. Give the method's own grid.")
    if grid.learning_rate is None:
        raise UsageError(f"{file} has not chosen a rate yet. Run its cme train --lr-grid again to the end.")
    if grid.learning_rate != run.training.learning_rate:
        raise UsageError(
            f"{file} chose the learning rate {grid.learning_rate:g}; the row was trained with "
            f"{run.training.learning_rate}. Train with the rate that the grid chose, or leave the grid out."
        )
    # A problem is a message for a terminal, with line breaks.
    runs = tuple(item.replace(problem=item.problem and " ".join(item.problem.split())) for item in grid.runs)
    return ChosenGrid(**{**dict(grid), "runs": runs, "at_edge": grid.at_edge})


def cost_ratios(path: Path, run: Run) -> MeasuredRatios:
    """What a row's method costs, relative to LoRA of equal total rank, from a measurement.

    Args:
        path: ``report.json`` of ``cme bench adapters --out``, or its folder.
        run: one of the row's.

    Returns:
        `RATIOS` (medians with their confidence interval), as far as measured, and what they were measured on.

    Raises:
        CMEError: there is no such file, or it is no measurement of adapters.
        UsageError: it is of another base, or has no such row or no LoRA beside it.
    """
    file = path / "report.json" if path.is_dir() else path
    report = read_json(file)
    if not isinstance(report, Mapping) or (report.get("kind"), report.get("schema_version")) != ("adapter-costs", 1):
        raise CMEError(
            f"{file} is no measurement of adapters of this version. Make one: cme bench adapters --out costs/"
        )
    try:
        return _found(report, run, file)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CMEError(f"{file} is damaged ({type(error).__name__}: {error}). Measure again.") from error


def _found(report: Mapping[str, Any], run: Run, file: Path) -> MeasuredRatios:
    settings, place = report["settings"], report["surroundings"]
    if place["base_parameters"] != run.base_parameters:
        raise UsageError(
            f"{file} was measured on a base of {place['base_parameters']:,} parameters, and the row's has "
            f"{run.base_parameters:,}. Measure on the row's base: cme bench adapters --base {run.base}"
        )
    wanted = _settings(run)
    cases = [case for case in report["cases"] if case["form"] in _FORMS]
    case = next((case for case in cases if _case(case, settings) == wanted), None)
    lora = next((case for case in cases if case["method"] == "lora"), None)
    if case is None or lora is None:
        known = ", ".join(f"{one['name']} (rank {one['rank']})" for one in cases)
        methods = ",".join(dict.fromkeys(("lora", run.method)))
        if run.adapter.method in UNMEASURED:
            raise UsageError(
                f"the costs of {_name(wanted)} cannot be measured: cme bench adapters compares methods that CME knows by name "
                "at one total rank. Leave --bench out."
            )
        command = f"cme bench adapters --methods {methods} --total-rank {_total_rank(run)}"
        command += f" --experts {run.adapter.experts}" if run.adapter.experts else ""
        raise UsageError(
            f"{file} has no {'LoRA to compare with' if case else _name(wanted)}; it has {known}. Measure it: {command} "
            "(a method that prunes, such as AdaLoRA, counts the rank that it starts with: half as much again by default)"
        )
    measured = dict(_times(report, case, lora)) | dict(_memory(case, lora))
    ratios = {name: build(Ratio, values, f"{file}: {name}", error=CMEError) for name, values in measured.items()}
    return MeasuredRatios(
        **ratios,
        base=str(place["base"]),
        total_rank=int(settings["total_rank"]),
        rounds=int(settings["rounds"]),
        device=str(place["device"]),
        hardware=str(place["hardware"]),
        threads=int(place["threads"]),
        dtype=str(place["dtype"]),
        command=" ".join(map(str, place["command"])),
    )


def _settings(run: Run) -> tuple[Any, ...]:
    """What makes two measurements of one method different."""
    return run.method, run.adapter.rank, run.adapter.experts, _targets(run.adapter.target_modules)


def _case(case: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[Any, ...]:
    return case["method"], case["rank"], case["experts"], _targets(settings["target_modules"])


def _targets(names: Any) -> Any:
    return sorted(names) if isinstance(names, list | tuple) else names


def _name(wanted: tuple[Any, ...]) -> str:
    method, rank, experts, targets = wanted
    parts = [str(method), f"rank {rank}" if rank else "", f"{experts} experts" if experts else ""]
    return ", ".join(part for part in parts if part) + (f" on {targets}" if targets else "")


def _total_rank(run: Run) -> int:
    return (run.adapter.rank or 1) * (run.adapter.experts or 1)


def _times(report: Mapping[str, Any], case: Mapping[str, Any], lora: Mapping[str, Any]) -> Iterator[tuple[str, _Ends]]:
    for mode in (item["mode"] for item in case["modes"]):
        if case is lora:
            yield mode, {"value": 1.0, "low": 1.0, "high": 1.0}
            continue
        for ratio in report["ratios"]:
            if (ratio["mode"], ratio["case"], ratio["reference"]) == (mode, case["name"], lora["name"]):
                interval = ratio["interval"] or {"low": None, "high": None}
                yield mode, {"value": ratio["quartiles"]["median"], "low": interval["low"], "high": interval["high"]}


def _memory(case: Mapping[str, Any], lora: Mapping[str, Any]) -> Iterator[tuple[str, _Ends]]:
    peaks = [[mode["peak_bytes"] for mode in one["modes"] if mode["mode"] == "train"] for one in (case, lora)]
    if all(peaks):
        value = float(peaks[0][0] / peaks[1][0])
        ends = value if case is lora else None
        yield "memory", {"value": value, "low": ends, "high": ends}
