"""Cost of an evaluation: lm-eval's own code and CME's engine side by side, on the same rows."""

from benchmarks.evaluation.report import EvalReport
from benchmarks.evaluation.run import measure_evaluation
from benchmarks.evaluation.settings import EvalBenchSettings

__all__ = ["EvalBenchSettings", "EvalReport", "measure_evaluation"]
