"""Benchmark of the costs of adapters (`cme.bench.adapters`)."""
