"""Measures whether computing only the chosen experts or ranks would be faster than computing all of them."""

from benchmarks.sparsity.run import Case, Measured, measure_case

__all__ = ["Case", "Measured", "measure_case"]
