"""What adapters cost: times in turns in one process, operations, peak memory, trained parameters; reported as ratios."""

from cme.bench.adapters.report import AdapterReport
from cme.bench.adapters.reported import Reported
from cme.bench.adapters.run import measure_adapters
from cme.bench.adapters.settings import BASE, FORMS, MODES, BenchSettings

__all__ = ["BASE", "FORMS", "MODES", "AdapterReport", "BenchSettings", "Reported", "measure_adapters"]
