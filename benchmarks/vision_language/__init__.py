"""Benchmark of the cost of text evaluations on a vision-language base, relative to its language model alone."""

from benchmarks.vision_language.run import Overhead, inside_llava, measure_overhead

__all__ = ["Overhead", "inside_llava", "measure_overhead"]
