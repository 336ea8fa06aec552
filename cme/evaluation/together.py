"""Evaluates several models together, on rows that the scores of all of them choose."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cme.evaluation.adapters import BASE
from cme.evaluation.row_rules import RowRule
from cme.evaluation.run import write_grown
from cme.evaluation.session import pick_device
from cme.evaluation.settings import EvalSettings
from cme.evaluation.stages import GrowingModel, Sessions, grow
from cme.evaluation.start import begin
from cme.locks import locks_released
from cme.models.load import pick_dtype
from cme.processes import Group, joined
from cme.records import Result

__all__ = ["evaluate_together"]


@locks_released()
def evaluate_together(models: Mapping[Path, EvalSettings], rule: RowRule) -> list[Result]:
    """Evaluate models on the same growing rows. After an interruption, the same call continues.

    Args:
        models: settings of each model by its output folder. They have the same datasets and differ in base and adapter only.
            Models of one base should be adjacent, so that the base is loaded once.
        rule: the rule that chooses the rows from the scores of all models, which look in the order of ``models``.

    Returns:
        The results in the order of the models.

    Raises:
        CMEError: as for `cme.evaluation.run.evaluate`, or if the rule cannot be met.
    """
    for settings in models.values():
        settings.check()
    with joined() as group:
        growing = [_growing(out, settings, rule, group) for out, settings in models.items()]
        return grow(growing, rule, write_grown, Sessions(len(growing) > 1, group))


def _growing(out: Path, settings: EvalSettings, rule: RowRule, group: Group) -> GrowingModel:
    settings = replace(settings, dtype=pick_dtype(settings.dtype), device=pick_device(settings.device, group))
    adapter = None if settings.adapter == BASE else settings.adapter
    start = group.first(lambda: begin(settings, {out: adapter}, True, rule))
    return GrowingModel(settings, start, start.rows[0])
