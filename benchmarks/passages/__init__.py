"""Benchmark of reading shared passages once, with and without it, on generated rows with the hub's cluster sizes."""

from benchmarks.passages.rows import PASSAGES, write_rows
from benchmarks.passages.run import Saving, measure_passages

__all__ = ["PASSAGES", "Saving", "measure_passages", "write_rows"]
