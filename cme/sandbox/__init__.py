"""Runs programs that a model wrote, and their tests, in processes that cannot harm the machine."""

from cme.sandbox.process import Isolation
from cme.sandbox.programs import LIMITS, OUTCOMES, Outcome, Program
from cme.sandbox.run import RUN_CODE, open_isolation, run_programs

__all__ = ["LIMITS", "OUTCOMES", "RUN_CODE", "Isolation", "Outcome", "Program", "open_isolation", "run_programs"]
