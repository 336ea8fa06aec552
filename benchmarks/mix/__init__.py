"""Benchmark of ``cme build-data`` at full size, on a generated mirror and against plain pipelines."""

from benchmarks.mix.mirror import planted, write_mirror
from benchmarks.mix.run import DataReport, measure_data

__all__ = ["DataReport", "measure_data", "planted", "write_mirror"]
