"""Benchmark of adapters: time, floating-point operations, peak memory and trained parameters, compared as ratios."""

from cme.bench.adapters.report import AdapterReport
from cme.bench.adapters.reported import Reported
from cme.bench.adapters.run import measure_adapters
from cme.bench.adapters.settings import BASE, FORMS, MODES, BenchSettings

__all__ = ["BASE", "FORMS", "MODES", "AdapterReport", "BenchSettings", "Reported", "measure_adapters"]
