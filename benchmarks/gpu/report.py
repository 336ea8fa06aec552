"""The measurements of ``benchmarks/gpu.sh`` in one record and one page."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.files import read_json
from cme.reports import markdown_table

__all__ = ["MODES", "adapter_rows", "combine", "evaluation_rows", "markdown"]

MODES = ("train", "prefill", "decode")
_ABSENT = "–"


def combine(folder: Path) -> dict[str, Any]:
    """Read the steps of a measurement and their reports.

    Args:
        folder: output folder of ``benchmarks/gpu.sh``.

    Returns:
        ``hardware`` and other surroundings, the ``steps`` (name, exit code, seconds, command), the report of each mode under
        ``adapters``, the reports of the evaluations under ``evaluations``, and whether something is ``incomplete``.

    Raises:
        CMEError: the folder has no steps, or no step has a report.
    """
    steps = list(_steps(folder))
    reports = {
        step["name"]: read_json(folder / step["name"] / "report.json") for step in steps if _has_report(folder, step)
    }
    if not reports:
        raise CMEError(f"{folder} has no finished measurement. The reasons are in {folder}/*.log.")
    adapters = {mode: _last(reports, f"adapters-{mode}") for mode in MODES}
    evaluations = {name: report for name, report in reports.items() if name.startswith("evaluation")}
    wanted = {step["name"] for step in steps if step["name"].startswith("evaluation")}
    place = next(iter(reports.values()))["surroundings"]
    kept = ("hardware", "device", "device_bytes", "cpus", "dtype", "versions")
    return {
        "kind": "gpu-costs",
        "schema_version": 1,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **{key: place[key] for key in kept},
        "incomplete": not all(adapters.values()) or wanted != set(evaluations),
        "steps": steps,
        "adapters": adapters,
        "evaluations": evaluations,
    }


def _steps(folder: Path) -> Iterator[dict[str, Any]]:
    file = folder / "steps.tsv"
    if not file.is_file():
        raise CMEError(f"{folder} has no steps.tsv. Give a folder that benchmarks/gpu.sh wrote.")
    for line in file.read_text(encoding="utf-8").splitlines():
        name, code, seconds, command = line.split("\t")
        yield {
            "name": name,
            "code": None if code == "skipped" else int(code),
            "seconds": int(seconds),
            "command": command,
        }


def _has_report(folder: Path, step: dict[str, Any]) -> bool:
    return bool(step["code"] == 0) and (folder / step["name"] / "report.json").is_file()


def _last(reports: dict[str, Any], name: str) -> Any:
    """Return the report of a mode, or that of fewer rows if the first did not fit."""
    found = [report for key, report in reports.items() if key == name or key.startswith(f"{name}-batch-")]
    return found[-1] if found else None


def markdown(measured: dict[str, Any]) -> str:
    """Format a measurement as a Markdown page, with the hardware in its first lines."""
    size = f" ({measured['device_bytes'] / 2**30:.0f} GiB)" if measured["device_bytes"] else ""
    versions = measured["versions"]
    known = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "cuda", "transformers", "peft") if name in versions
    )
    lines = [
        f"# {measured['hardware']}{size}",
        "",
        f"{measured['dtype']}, {known}. Finished {measured['finished']}.",
        "",
    ]
    if any(measured["adapters"].values()):
        lines += ["## Costs of adapters", "", *_adapter_notes(measured["adapters"]), ""]
        lines += [markdown_table(*adapter_rows(measured["adapters"])), ""]
    if measured["evaluations"]:
        lines += ["## Evaluation: CME's engine and lm-eval's hf", ""]
        lines += [markdown_table(*evaluation_rows(measured["evaluations"])), "", *_own_code(measured["evaluations"])]
    failed = [step for step in measured["steps"] if step["code"] != 0]
    for step in failed:
        what = "skipped, because the time was over" if step["code"] is None else _reason(step["code"])
        lines.append(f"- {step['name']}: {what}.")
    return "\n".join(lines).rstrip() + "\n"


def _own_code(evaluations: dict[str, Any]) -> Iterator[str]:
    """Name the datasets for which CME's engine could not be used."""
    for report in evaluations.values():
        for cost in report["datasets"]:
            if cost["used"] != "prefix":
                yield f"- {report['surroundings']['base']}, {cost['dataset']}: CME used lm-eval's own code ({cost['used']})."


def _reason(code: int) -> str:
    return "the time was over" if code in (124, 137) else f"exit code {code}, see its log"


def _adapter_notes(adapters: dict[str, Any]) -> Iterator[str]:
    for mode, report in adapters.items():
        if report:
            settings, place = report["settings"], report["surroundings"]
            length = settings["train_length" if mode == "train" else "infer_length"]
            yield (
                f"- {mode}: {settings['batch']} rows of {length} tokens, {settings['rounds']} rounds, total rank "
                f"{settings['total_rank']}, base {place['base']} ({place['base_parameters']:,} parameters, {place['weights']} "
                f"weights), attention {place['attention']}."
            )


def adapter_rows(adapters: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of the costs of adapters, with one row per case."""
    there = [mode for mode in MODES if adapters[mode]]
    columns = ["case"]
    for mode in there:
        columns += [f"{mode} ms", f"{mode} / LoRA", f"{mode} tokens/s", f"{mode} peak GiB"]
    names = list(dict.fromkeys(case["name"] for mode in there for case in adapters[mode]["cases"]))
    rows = []
    for name in names:
        cells = [name]
        for mode in there:
            cells += _cells(adapters[mode], mode, name)
        rows.append(cells)
    return columns, rows


def _cells(report: Any, mode: str, name: str) -> list[str]:
    costs = [cost for case in report["cases"] if case["name"] == name for cost in case["modes"] if cost["mode"] == mode]
    if not costs:
        return [_ABSENT] * 4
    ratio = next((r for r in report["ratios"] if (r["mode"], r["case"], r["reference"]) == (mode, name, "lora")), None)
    return [
        f"{1e3 * costs[0]['seconds']['median']:.2f}",
        _ABSENT if ratio is None else _ratio(ratio),
        f"{costs[0]['tokens_per_second']:,.0f}",
        f"{costs[0]['peak_bytes'] / 2**30:.2f}",
    ]


def _ratio(ratio: Any) -> str:
    text, interval = f"{ratio['quartiles']['median']:.3f}", ratio["interval"]
    return text if interval is None else f"{text} [{interval['low']:.3f}, {interval['high']:.3f}]"


def evaluation_rows(evaluations: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of the evaluations, with one row per base and group of datasets."""
    columns = [
        "base",
        "datasets",
        "rows",
        "lm-eval s",
        "CME s",
        "lm-eval / CME",
        "lm-eval rows/s",
        "CME rows/s",
        "peak GiB",
    ]
    rows = []
    for report in evaluations.values():
        peaks = {memory["side"]: f"{memory['peak_bytes'] / 2**30:.2f}" for memory in report["memory"]}
        for total in report["totals"]:
            stock, engine = (_median(total[side]["seconds"]) for side in ("stock", "engine"))
            rows.append(
                [
                    report["surroundings"]["base"],
                    total["name"],
                    str(total["rows"]),
                    f"{stock:.2f}",
                    f"{engine:.2f}",
                    f"{total['ratio']:.2f}",
                    f"{total['rows'] / stock:.1f}",
                    f"{total['rows'] / engine:.1f}",
                    f"{peaks.get('lm-eval', _ABSENT)} → {peaks.get('cme', _ABSENT)}",
                ]
            )
    return columns, rows


def _median(values: Sequence[float]) -> float:
    import statistics

    return statistics.median(values)
