"""Benchmark of the cost of an evaluation with lm-eval's own code and with CME's engine, on the same rows."""

from benchmarks.evaluation.report import EvalReport
from benchmarks.evaluation.run import measure_evaluation
from benchmarks.evaluation.settings import EvalBenchSettings

__all__ = ["EvalBenchSettings", "EvalReport", "measure_evaluation"]
