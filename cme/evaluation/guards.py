"""Mistakes after which every answer would be wrong, and none would look so."""

from pathlib import Path

from cme.adapters.load import adapter_fingerprint
from cme.errors import AdapterError, CMEError
from cme.records import Run, read_record

__all__ = ["check_trained_on"]


def check_trained_on(adapter: Path, base: str, fingerprint: str, prompt_format: str = "", tokenizer: str = "") -> None:
    """Check that an adapter with a run record of its own was trained on this base.

    Where there is no record of this very adapter, its shapes decide (`cme.adapters.load.load_adapter`).

    Args:
        adapter: the adapter's folder.
        base: the base as asked for.
        fingerprint: the base's, from `cme.models.load.base_fingerprint`.
        prompt_format: that it is evaluated with.
        tokenizer: fingerprint of the base's tokenizer, from `cme.models.tokenizer_files.tokenizer_fingerprint`.

    Raises:
        AdapterError: it was trained on another one, or in the same format with another tokenizer or chat template.
    """
    try:
        run = read_record(adapter / "run.json", Run)
    except CMEError:  # no record, or another program's file of that name
        return
    if run.adapter_fingerprint != adapter_fingerprint(adapter):
        return
    if run.base_fingerprint != fingerprint:
        raise AdapterError(
            f"{adapter} was trained on another base than {base}: its run.json names {run.base} (fingerprint "
            f"{run.base_fingerprint[:12]}…, this one has {fingerprint[:12]}…). Give that base with --base. If the two are one "
            "model saved in two ways, evaluate a copy of the adapter without run.json."
        )
    then = run.tokenizer_fingerprint
    if then and tokenizer and then != tokenizer and run.prompt_format == prompt_format:
        raise AdapterError(
            f"{adapter} was trained with another tokenizer or chat template than {base} has now: its run.json names "
            f"{then[:12]}…, this one is {tokenizer[:12]}…. Put the files back, or evaluate a copy of the adapter "
            "without run.json."
        )
