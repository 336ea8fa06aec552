"""Checks of the settings of a retention measurement, before the model is loaded."""

from collections.abc import Mapping
from pathlib import Path

from cme.errors import UsageError
from cme.evaluation.adapters import BASE
from cme.evaluation.retention.unrelated import UnrelatedText, is_default, read_text
from cme.evaluation.settings import RESULT, EvalSettings
from cme.records import Result, read_record
from cme.records.retention import LossChange
from cme.workdir import is_finished

__all__ = ["check_retention"]


def check_retention(settings: EvalSettings, rows: Mapping[Path, str | None], *, in_memory: bool | None = None) -> None:
    """Check that retention can be measured for every row, and that its text can be read.

    Args:
        settings: settings of the evaluation.
        rows: the adapter of each output folder; None for the base itself.
        in_memory: whether a model in memory has an active adapter; None if the model is not in memory.

    Raises:
        UsageError: a row has nothing to compare, settings exclude each other, or a finished result lacks its retention or has
            the change of the loss on another text.
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
    text = None if settings.retention_text is None else read_text(Path(settings.retention_text))
    for out in rows:
        if not (is_finished(out) and (out / RESULT).is_file()):
            continue
        retention = read_record(out / RESULT, Result).retention
        if retention is None:
            raise UsageError(
                f"{out} has a finished result without retention. Choose another --out, or remove the folder to evaluate again."
            )
        _check_same_text(out, retention.loss, text, settings)


def _check_same_text(out: Path, loss: LossChange | None, text: UnrelatedText | None, settings: EvalSettings) -> None:
    """Check that a finished result has the change of the loss on the text of the other rows.

    Wikitext-2 is not read here. If the hub could not be reached, the result has no text, and its remark says so.
    """
    if text is not None:
        same, now = loss is not None and loss.text_sha256 == text.sha256, f"{text.name} ({text.sha256[:12]})"
    elif settings.source == "hub":
        same, now = loss is None or is_default(loss.text), "wikitext-2"
    else:
        same, now = loss is None, "none"
    if not same:
        then = "no text" if loss is None else f"the text {loss.text} ({loss.text_sha256[:12]})"
        raise UsageError(
            f"{out} has a finished result with the change of the loss on {then}, but the text is now {now}, and values on "
            "different texts are not comparable. Give the --retention-text of the first command, or choose another --out."
        )
