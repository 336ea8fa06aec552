"""What an evaluation costs: lm-eval's own code and CME's engine side by side, on the same rows, with the same answers."""

from cme.bench.evaluate.report import EvalReport
from cme.bench.evaluate.run import measure_evaluation
from cme.bench.evaluate.settings import EvalBenchSettings

__all__ = ["EvalBenchSettings", "EvalReport", "measure_evaluation"]
