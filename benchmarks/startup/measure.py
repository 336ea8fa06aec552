"""Fresh interpreters, in turns, and what they took."""

import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["CASES", "HERE", "interval", "measure"]

HERE = Path(__file__).resolve().parents[2]
"""This checkout."""

CASES = {
    "import cme": ["-c", "import cme"],
    "cme --help": ["-m", "cme", "--help"],
}
"""Name → what the interpreter is given."""


def _seconds(arguments: Sequence[str], checkout: Path) -> float:
    """Time of one fresh interpreter, from its start to its end."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{checkout}: python {' '.join(arguments)} failed:\n{done.stderr}")
    return time.perf_counter() - started


def measure(checkouts: Sequence[Path], *, rounds: int, seed: int = 0) -> dict[str, dict[Path, list[float]]]:
    """Start every case of every checkout once per round.

    Args:
        checkouts: folders that hold the package.
        rounds: measured rounds; one more comes first and is not counted, so that files are in memory and compiled.
        seed: of the orders.

    Returns:
        Case → checkout → seconds by round.
    """
    draw = random.Random(seed)
    order = [(case, checkout) for case in CASES for checkout in checkouts]
    found: dict[str, dict[Path, list[float]]] = {case: {checkout: [] for checkout in checkouts} for case in CASES}
    for number in range(rounds + 1):
        draw.shuffle(order)
        for case, checkout in order:
            seconds = _seconds(CASES[case], checkout)
            if number:
                found[case][checkout].append(seconds)
    return found


def interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the median: the order statistics that a binomial count of halves lies between.

    With fewer than 6 values it is their whole range, and covers less.
    """
    ordered, size = sorted(values), len(values)
    below, tail = 0, 0.0
    while tail + math.comb(size, below) / 2**size <= 0.025:
        tail += math.comb(size, below) / 2**size
        below += 1
    return ordered[max(below - 1, 0)], ordered[size - max(below, 1)]
