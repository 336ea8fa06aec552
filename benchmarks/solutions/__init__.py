"""What the early stop at the end mark of a solution saves: generated tokens and time, with the same answers."""

from benchmarks.solutions.run import Saving, measure_solutions

__all__ = ["Saving", "measure_solutions"]
