"""Errors and tests."""

from cme.stats.clustered import clustered_stderr, stderr_of_mean

__all__ = ["clustered_stderr", "stderr_of_mean"]
