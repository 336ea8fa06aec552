"""Costs on one GPU: ``benchmarks/gpu.sh OUT`` measures, and ``python -m benchmarks.gpu OUT`` combines the measurements."""
