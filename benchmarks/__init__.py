"""Benchmarks of the checkout: ``python -m benchmarks.mix``, ``benchmarks.evaluation``, ``benchmarks.startup``."""
