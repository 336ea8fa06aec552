"""``python -m benchmarks.versions``: compare the wall time of commands in this checkout and in an older one.

Both checkouts use this interpreter and its libraries, and run in alternating order. Every round writes to new folders, so no
command resumes earlier work.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from cme.api.call import names
from cme.bench.adapters.ratios import Ratio, ratio_of
from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Json
from cme.cli.tables import show_table
from cme.errors import CMEError, UsageError, unknown
from cme.machine import processor_name

__all__ = ["CASES", "Case", "measure_versions"]

HERE = Path(__file__).resolve().parents[1]
_CME = ("-m", "cme")
_DEMO = str(HERE / "leaderboards" / "recipes" / "demo-teamlora.yaml")


@dataclass(frozen=True)
class Case:
    """A command that both checkouts support.

    Attributes:
        name: Name for ``--cases``.
        arguments: Arguments of the interpreter. ``{out}`` is a new folder. ``{mix}`` and ``{mirror}`` are shared by both.
    """

    name: str
    arguments: tuple[str, ...]


CASES = (
    Case("import", ("-c", "import cme")),
    Case("help", (*_CME, "--help")),
    Case("mix", (*_CME, "build-data", "--source", "{mirror}", "--size", "{size}", "--workers", "2", "--out", "{out}")),
    Case("train", (*_CME, "train", "--recipe", _DEMO, "--data", "{mix}", "--steps", "20", "--out", "{out}")),
    Case("evaluate", (*_CME, "eval", "--source", "mini", "--tier", "smoke", "--dtype", "auto", "--out", "{out}")),
    Case("verify", (*_CME, "leaderboard", "verify", str(HERE / "leaderboards" / "demo" / "entries"))),
)
"""The cases. The older checkout makes the mirror and the mix beforehand, and this is not timed."""


def measure_versions(before: Path, cases: list[Case], work: Path, *, rounds: int, share: float = 0.1) -> list[Ratio]:
    """Measure the commands of two checkouts in alternating order.

    Args:
        before: Root of the older checkout.
        cases: The cases to run.
        work: Folder for the output of the commands.
        rounds: Number of runs per case and checkout. With at least 6 rounds, the ratios have intervals.
        share: Size of the mirror for ``mix``, as a share of the full size.

    Returns:
        The ratio of the time of this checkout to that of the older one, for each case.

    Raises:
        CMEError: A command failed.
    """
    places = {"size": str(int(share * 2_500_000))}
    if any("{mirror}" in case.arguments for case in cases):
        from benchmarks.mix import write_mirror

        places["mirror"] = str(write_mirror(work / "mirror", share))
    if any("{mix}" in case.arguments for case in cases):
        places["mix"] = str(work / "mix")
        _seconds(before, (*_CME, "build-data", "--source", "mini", "--size", "600", "--out", places["mix"]))
    seconds: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds):
        sides = [("before", before), ("now", HERE)]
        for case in cases:
            for side, root in sides if number % 2 else reversed(sides):
                out = work / f"{case.name}-{side}-{number}"
                arguments = tuple(text.format(out=out, **places) for text in case.arguments)
                seconds.setdefault((case.name, side), []).append(_seconds(root, arguments))
                shutil.rmtree(out, ignore_errors=True)
            note(f"round {number + 1} of {rounds}: {case.name}")
    return [
        ratio_of(case.name, "now", "before", seconds[case.name, "now"], seconds[case.name, "before"]) for case in cases
    ]


def _seconds(root: Path, arguments: tuple[str, ...]) -> float:
    """Run one command from a checkout's sources and return its wall time."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise CMEError(f"{root}: python {' '.join(arguments)} failed:\n{done.stderr.strip()[-2000:]}")
    return seconds


def measure(
    before: Annotated[Path, typer.Option("--before", help="Root of the older checkout, such as a git worktree.")],
    cases: Annotated[
        str | None,
        typer.Option("--cases", help=f"Comma-separated: {', '.join(case.name for case in CASES)}. Default: all."),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=2, help="Number of runs per case and checkout.")] = 6,
    share: Annotated[
        float, typer.Option("--share", help="Size of the mirror for case mix, as a share of the full size.")
    ] = 0.1,
    as_json: Json = False,
) -> None:
    """Compare this checkout with an older one.

    The table shows the median ratio of wall times for each case, with its 95 % confidence interval.
    """
    known = {case.name: case for case in CASES}
    chosen = names(cases) or tuple(known)
    for name in chosen:
        if name not in known:
            raise unknown("case", name, known)
    before = before.expanduser().resolve()
    if not (before / "cme" / "__init__.py").is_file():
        raise UsageError(f"{before} is not a checkout of CME, because it has no cme/__init__.py. Give the root of one.")
    with tempfile.TemporaryDirectory(prefix="cme-versions-") as work:
        ratios = measure_versions(before, [known[name] for name in chosen], Path(work), rounds=rounds, share=share)
    if as_json:
        emit_json({"hardware": processor_name(), "rounds": rounds, "ratios": [asdict(ratio) for ratio in ratios]})
        return
    show_table(
        ["case", "ratio", "95 % interval", "quartiles"],
        [
            [
                ratio.mode,
                f"{ratio.quartiles.median:.3f}",
                f"[{ratio.interval.low:.3f}, {ratio.interval.high:.3f}]" if ratio.interval else "–",
                f"{ratio.quartiles.low:.3f} to {ratio.quartiles.high:.3f}",
            ]
            for ratio in ratios
        ],
    )
    note(
        f"\nWall time of this checkout divided by that of {before}, in {rounds} alternating rounds on {processor_name()} with "
        f"{os.cpu_count()} CPUs."
    )


app = standalone(measure, epilog="Example: python -m benchmarks.versions --before ../old --cases import,help,train")

if __name__ == "__main__":
    app()
