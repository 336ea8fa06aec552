"""Mistakes after which every answer would be wrong, and none would look so."""

from pathlib import Path

from cme.adapters.load import adapter_fingerprint
from cme.errors import AdapterError, CMEError
from cme.records import Run, read_record

__all__ = ["check_trained_on"]


def check_trained_on(adapter: Path, base: str, fingerprint: str) -> None:
    """Check that an adapter with a run record of its own was trained on this base.

    Where there is no record of this very adapter, its shapes decide (`cme.adapters.load.load_adapter`).

    Args:
        adapter: the adapter's folder.
        base: the base as asked for.
        fingerprint: the base's, from `cme.models.load.base_fingerprint`.

    Raises:
        AdapterError: it was trained on another one.
    """
    try:
        run = read_record(adapter / "run.json", Run)
    except CMEError:  # no record, or another program's file of that name
        return
    if run.adapter_fingerprint == adapter_fingerprint(adapter) and run.base_fingerprint != fingerprint:
        raise AdapterError(
            f"{adapter} was trained on another base than {base}: its run.json names {run.base} (fingerprint "
            f"{run.base_fingerprint[:12]}…, this one has {fingerprint[:12]}…). Give that base with --base. If the two are one "
            "model saved in two ways, evaluate a copy of the adapter without run.json."
        )
