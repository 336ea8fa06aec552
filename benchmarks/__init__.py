"""Benchmarks that run in a checkout: ``python -m benchmarks.mix``, ``benchmarks.evaluation`` and ``benchmarks.versions``."""
