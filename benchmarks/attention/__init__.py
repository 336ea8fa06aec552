"""Measures the forms of attention with which CME trains on a CPU in bfloat16."""

from benchmarks.attention.run import FORMS, Measured, measure_length

__all__ = ["FORMS", "Measured", "measure_length"]
