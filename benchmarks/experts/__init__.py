"""Benchmark of the analysis of experts: what recording load and masking experts cost, relative to a plain evaluation."""

from benchmarks.experts.run import ExpertBenchSettings, ExpertCosts, measure_experts

__all__ = ["ExpertBenchSettings", "ExpertCosts", "measure_experts"]
