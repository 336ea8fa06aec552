"""Benchmark of ``cme compare`` on generated results of full size."""

from benchmarks.comparison.results import write_results
from benchmarks.comparison.run import ComparisonReport, measure_comparison

__all__ = ["ComparisonReport", "measure_comparison", "write_results"]
