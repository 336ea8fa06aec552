"""``python -m benchmarks.startup``: measure and print."""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.startup.measure import HERE, interval, measure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup",
        description="What importing cme and cme --help cost, in turns with another checkout.",
    )
    parser.add_argument("--against", type=Path, help="another checkout, such as of an older version")
    parser.add_argument("--rounds", type=int, default=20, help="measured rounds (default: 20)")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error("--rounds must be 1 or more")
    checkouts = [HERE]
    if given.against is not None:
        other = given.against.resolve()
        if not (other / "cme" / "__init__.py").is_file():
            parser.error(f"--against {given.against} is no checkout of CME: it has no cme/__init__.py")
        if other == HERE:
            parser.error(f"--against {given.against} is this very checkout. Name another one.")
        checkouts.append(other)
    for case, times in measure(checkouts, rounds=given.rounds).items():
        for checkout, seconds in times.items():
            low, middle, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
            print(f"{case:12}  {middle:.3f} s (quartiles {low:.3f} to {high:.3f})  {checkout}")
        if len(checkouts) > 1:
            ratios = [own / theirs for own, theirs in zip(times[HERE], times[checkouts[1]], strict=True)]
            low, high = interval(ratios)
            print(f"{case:12}  {statistics.median(ratios):.2f} times as long ({low:.2f} to {high:.2f}, 95 %)")


if __name__ == "__main__":
    main()
