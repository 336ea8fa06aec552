"""Costs side by side: measured in one process, in turns, reported as ratios."""

from cme.bench.pair import MODES, PairReport, Ratio, Setup, measure_pair

__all__ = ["MODES", "PairReport", "Ratio", "Setup", "measure_pair"]
