"""``python -m benchmarks.boards``: the overhead of the local engine, planning, and two Ray nodes against one."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Base, Json
from cme.cli.tables import show_table

__all__ = ["app", "measure"]


def measure(
    base: Base = "smollm2-135m",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps of each training.")] = 30,
    runs: Annotated[int, typer.Option("--runs", min=2, help="Number of trainings.")] = 4,
    ray: Annotated[bool, typer.Option("--ray/--no-ray", help="Also measure two Ray nodes against one.")] = True,
    as_json: Json = False,
) -> None:
    """Measure the local engine's overhead, planning, and two Ray nodes against one.

    The trainings have one thread each. Nothing else should run on the machine.
    """
    from benchmarks.boards import measure_overhead, measure_scaling, measure_survey

    with TemporaryDirectory(prefix="cme-boards-") as folder:
        root = Path(folder)
        survey = measure_survey(root / "survey", base, finished=100, planned=1_000)
        overhead = measure_overhead(root / "overhead", base, steps=steps, seeds=runs)
        scaling = measure_scaling(root / "scaling", base, steps=steps, runs=runs) if ray else None
    derived = {"share": overhead.share, "per_step": overhead.per_step}
    values: dict[str, Any] = {"survey": asdict(survey), "overhead": asdict(overhead) | derived}
    if scaling is not None:
        values["scaling"] = asdict(scaling) | {"speedup": scaling.speedup}
    if as_json:
        emit_json(values)
        return
    rows = [
        [f"planning {survey.planned} steps", f"{survey.plan:.2f} s"],
        [f"cme board status on {survey.finished} steps", f"{survey.recognised:.2f} s"],
        [f"{overhead.steps} trainings, one at a time", f"{overhead.wall:.1f} s"],
        ["time without a command, per training", f"{overhead.per_step:.2f} s"],
        ["its share", f"{100 * overhead.share:.2f} %"],
        ["CPU time of the driver", f"{overhead.driver:.2f} s"],
    ]
    if scaling is not None:
        rows += [
            [f"{scaling.runs} trainings on one Ray node", f"{scaling.one:.1f} s"],
            [f"{scaling.runs} trainings on two Ray nodes", f"{scaling.two:.1f} s"],
            ["speedup", f"{scaling.speedup:.2f}"],
        ]
    show_table(["measurement", "value"], rows)
    note(f"\nBase {base}, {steps} steps per training, one thread.")


app = standalone(measure, epilog="Example: python -m benchmarks.boards --steps 30 --runs 4")

if __name__ == "__main__":
    app()
