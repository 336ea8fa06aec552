"""Conversion of MoSLoRA adapters to plain LoRA."""

from pathlib import Path

from cme.api.call import StrPath, path, public

__all__ = ["export_lora"]


@public
def export_lora(adapter: StrPath, out: StrPath) -> Path:
    """Convert a MoSLoRA adapter to a plain LoRA adapter with the same outputs: ``cme export-lora``.

    Args:
        adapter: folder of a MoSLoRA adapter.
        out: new or empty folder for the LoRA adapter.

    Returns:
        The folder ``out``.

    Raises:
        CMEError: if the folder holds no MoSLoRA adapter, or ``out`` is not empty.

    Example:
        >>> cme.export_lora("runs/moslora", "runs/moslora-as-lora")  # doctest: +SKIP
    """
    from cme.adapters.moslora import export_lora as export

    export(path(adapter), path(out))
    return path(out)
