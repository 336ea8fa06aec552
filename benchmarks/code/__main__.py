"""``python -m benchmarks.code``: measure how long programs and their tests take in the sandbox."""

from dataclasses import asdict
from typing import Annotated

import typer

from cme.cli.app import emit_json, standalone
from cme.cli.options import Json
from cme.cli.tables import show_table


def code(
    programs: Annotated[int, typer.Option("--programs", min=1, help="Number of programs.")] = 500,
    mode: Annotated[str, typer.Option("--mode", help="sandboxed or unsandboxed.")] = "sandboxed",
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Programs at the same time. Default: the number of CPU cores."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run programs of the mini corpus with their tests. Four of five are right."""
    from benchmarks.code import measure_programs

    measured = measure_programs(programs, mode, workers)
    if as_json:
        emit_json(asdict(measured))
        return
    show_table(
        ["programs", "workers", "s", "ms per program", "outcomes"],
        [
            [
                measured.programs,
                measured.workers or "all cores",
                f"{measured.seconds:.1f}",
                f"{1000 * measured.seconds / measured.programs:.0f}",
                ", ".join(f"{count} {name}" for name, count in sorted(measured.outcomes.items())),
            ]
        ],
    )


app = standalone(code, epilog="Example: python -m benchmarks.code --programs 500")

if __name__ == "__main__":
    app()
