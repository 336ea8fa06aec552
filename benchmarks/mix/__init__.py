"""``cme build-data`` at full size: a generated mirror, the same work done the plain way, and time and memory of both."""

from benchmarks.mix.mirror import planted, write_mirror
from benchmarks.mix.run import DataReport, measure_data

__all__ = ["DataReport", "measure_data", "planted", "write_mirror"]
