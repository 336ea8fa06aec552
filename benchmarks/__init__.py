"""Benchmarks of the checkout, beside other code: ``python -m benchmarks.mix``, ``python -m benchmarks.evaluation``."""
