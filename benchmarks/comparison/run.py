"""Time and memory of ``cme compare`` on generated results."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison.results import write_results
from benchmarks.mix.usage import measure
from cme.machine import processor_name
from cme.records import versions

__all__ = ["ComparisonReport", "Timing", "measure_comparison"]

CASES = {"all samples": None, "until decided": "decided:{}", "until precise": "{}"}
"""Name of each case, with its ``--until``."""

_HALF_WIDTH = 0.75
"""Half-width at full size, in points."""


@dataclass(frozen=True)
class Timing:
    """One case.

    Attributes:
        case: One of `CASES`.
        samples: Compared samples of each run.
        seconds: Median wall time in seconds, including the start of the interpreter.
        peak: Largest peak memory in bytes.
    """

    case: str
    samples: int
    seconds: float
    peak: int


@dataclass(frozen=True)
class ComparisonReport:
    """The measured cases and their conditions.

    Attributes:
        samples: Samples of each result.
        methods, seeds: Numbers of methods, and of seeds of each.
        rounds: Number of rounds.
        timings: The cases.
        hardware: Name of the processor.
        versions: Versions of the libraries.
    """

    samples: int
    methods: int
    seeds: int
    rounds: int
    timings: tuple[Timing, ...]
    hardware: str
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def measure_comparison(
    folder: Path,
    *,
    methods: int = 2,
    seeds: int = 3,
    share: float = 1.0,
    rounds: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> ComparisonReport:
    """Measure ``cme compare`` in processes of its own. The time to generate the results is not included.

    Args:
        folder: Folder for the generated results, which are reused.
        methods: Number of methods.
        seeds: Number of seeds of each method.
        share: Share of the published samples of each dataset.
        rounds: Number of rounds.
        say: Function that is called with progress messages.
    """
    say("Generating results")
    results = write_results(folder / f"{share:g}", methods=methods, seeds=seeds, share=share)
    sides = [f"{name}={','.join(map(str, paths))}" for name, paths in results.items()]
    taken: dict[str, list[tuple[float, int, int]]] = {case: [] for case in CASES}
    for number in range(rounds):
        for case, rule in CASES.items():
            say(f"Round {number + 1}: {case}")
            # A share of the samples reaches as many times less precision.
            arguments = [] if rule is None else ["--until", rule.format(round(_HALF_WIDTH / share**0.5, 2))]
            usage = measure([sys.executable, "-m", "cme", "compare", *sides, *arguments, "--json"])
            samples = sum(json.loads(usage.output)["samples"].values())
            taken[case].append((usage.seconds, usage.peak, samples))
    timings = [
        Timing(case, of[0][2], median(seconds for seconds, _, _ in of), max(peak for _, peak, _ in of))
        for case, of in taken.items()
    ]
    return ComparisonReport(timings[0].samples, methods, seeds, rounds, tuple(timings), processor_name(), versions())
