"""Benchmark of running programs with their tests in the sandbox."""

from benchmarks.code.run import Measured, measure_programs, mini_programs

__all__ = ["Measured", "measure_programs", "mini_programs"]
