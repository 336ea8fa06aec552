"""Measures what running a board costs beyond its commands, and what a second node gains."""

from benchmarks.boards.run import Overhead, Scaling, Survey, measure_overhead, measure_scaling, measure_survey

__all__ = ["Overhead", "Scaling", "Survey", "measure_overhead", "measure_scaling", "measure_survey"]
