"""Retention: what an adapter changed of the base's old skill."""

from cme.evaluation.retention.checks import check_retention
from cme.evaluation.retention.meter import RetentionMeter

__all__ = ["RetentionMeter", "check_retention"]
