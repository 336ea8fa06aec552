"""A MoSLoRA adapter as plain LoRA."""

from pathlib import Path

from cme.api.call import StrPath, path, public

__all__ = ["export_lora"]


@public
def export_lora(adapter: StrPath, out: StrPath) -> Path:
    """Write a MoSLoRA adapter as a plain LoRA adapter with the same outputs: ``cme export-lora``.

    Args:
        adapter: folder of a MoSLoRA adapter.
        out: folder for the LoRA adapter: new, or empty.

    Returns:
        ``out``.

    Raises:
        CMEError: it is no MoSLoRA adapter, or the folder holds something.

    Example:
        >>> cme.export_lora("runs/moslora", "runs/moslora-as-lora")  # doctest: +SKIP
    """
    from cme.adapters.moslora import export_lora as export

    export(path(adapter), path(out))
    return path(out)
