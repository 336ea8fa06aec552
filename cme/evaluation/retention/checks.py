"""Checks of the settings of a retention measurement, before the model is loaded."""

from collections.abc import Mapping
from pathlib import Path

from cme.errors import UsageError
from cme.evaluation.adapters import BASE
from cme.evaluation.retention.unrelated import read_text
from cme.evaluation.settings import RESULT, EvalSettings
from cme.records import Result, read_record
from cme.workdir import is_finished

__all__ = ["check_retention"]


def check_retention(settings: EvalSettings, rows: Mapping[Path, str | None], *, in_memory: bool | None = None) -> None:
    """Check that retention can be measured for every row, and that its text can be read.

    Args:
        settings: settings of the evaluation.
        rows: the adapter of each output folder; None for the base itself.
        in_memory: whether a model in memory has an active adapter; None if the model is not in memory.

    Raises:
        UsageError: a row has nothing to compare, settings exclude each other, or a finished result lacks its retention.
        CMEError: the text cannot be read.
    """
    if not settings.retention:
        for option, value in (
            ("--retention-text", settings.retention_text),
            ("--retention-base", settings.retention_base),
        ):
            if value is not None:
                raise UsageError(f"{option} applies to --retention only. Add --retention, or leave it out.")
        return
    if settings.baseline is not None:
        raise UsageError(
            f"the baseline {settings.baseline} has no model, so it has no retention. Leave --retention out."
        )
    adapted = [name not in (None, BASE) for name in rows.values()] if in_memory is None else [in_memory]
    if settings.retention_base is None and not all(adapted):
        raise UsageError(
            "retention compares an adapter with its base, but the base itself is to be evaluated. Leave --retention out, or "
            "give the base of a merged or fully trained model with --retention-base."
        )
    if settings.retention_base is not None and any(adapted):
        raise UsageError(
            "an adapter is compared with the base on which it is loaded. Leave --retention-base out; it is for merged and fully "
            "trained models."
        )
    for out in rows:
        if is_finished(out) and (out / RESULT).is_file() and read_record(out / RESULT, Result).retention is None:
            raise UsageError(
                f"{out} has a finished result without retention. Choose another --out, or remove the folder to evaluate again."
            )
    if settings.retention_text is not None:
        read_text(Path(settings.retention_text))
