"""The version of the scoring rules. It is a module of its own, so that whoever needs only the version imports nothing else."""

__all__ = ["SCORER_VERSION"]

SCORER_VERSION = 2
"""Version of the scoring rules. It increases when equal answers would get other scores; older rows are then stale."""
