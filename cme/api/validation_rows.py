"""The rows of a run's mix on which the validation loss of its adapter is measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import CMEError, SourceError, UsageError
from cme.mix.rows import read_manifest
from cme.records import Manifest, Run
from cme.training.encode import Encoder
from cme.training.mix_rows import MAX_LENGTH, MixRow, own_run, validation_split

__all__ = ["ValidationMix", "find_mix", "validation_rows"]


@dataclass(frozen=True)
class ValidationMix:
    """A mix with validation rows.

    Attributes:
        folder: its folder.
        fingerprint: its fingerprint.
        max_length: most tokens of a row in the training.
    """

    folder: Path
    fingerprint: str
    max_length: int


def find_mix(adapter: Path, data: Path | None = None) -> ValidationMix | str:
    """Find the mix on which an adapter was trained.

    Args:
        adapter: folder of the adapter.
        data: folder of the mix; None for the folder that the run record names.

    Returns:
        The mix, or the reason why it cannot be used.

    Raises:
        UsageError: the given folder is no mix, is another mix than that of the run, or has no validation rows.
    """
    run = own_run(adapter)
    if data is None and (run is None or run.training.data is None):
        return (
            f"{adapter} has no run.json of its training, so its mix is unknown. Give the folder of the mix with --data."
        )
    folder = data or Path(str(run and run.training.data)).expanduser()
    reason = _obstacle(folder, run)
    if reason is not None and data is not None:
        raise UsageError(reason)
    if reason is not None:
        return f"{reason} Give the folder of the mix with --data."
    length = run.training.max_length if run is not None else None
    return ValidationMix(folder, read_manifest(folder).fingerprint, length or MAX_LENGTH)


def validation_rows(
    mix: ValidationMix, tokenizer: Any, *, rows: int, prompt_format: str, max_length: int | None = None
) -> tuple[list[MixRow], int]:
    """Read and encode the first rows of a mix's validation split, which are in random order.

    Args:
        mix: the mix.
        tokenizer: tokenizer of the base.
        rows: largest number of rows.
        prompt_format: prompt format.
        max_length: most tokens that the model can read; None if it has no limit.

    Returns:
        The rows, and the number of rows that were left out because they are too long.

    Raises:
        CMEError: the split is damaged, or no row fits.
    """
    length = min(mix.max_length, max_length or mix.max_length)
    chosen, dropped = validation_split(mix.folder, Encoder(tokenizer, prompt_format, length), rows)
    if not chosen:
        raise SourceError(
            f"{mix.folder} has no validation row of at most {length} tokens. Leave out the part validation."
        )
    return chosen, dropped


def _obstacle(folder: Path, run: Run | None) -> str | None:
    try:
        manifest: Manifest = read_manifest(folder)
    except CMEError as error:
        return str(error)
    if run is not None and manifest.fingerprint != run.mix_fingerprint:
        return f"{folder} is not the mix of this run: its fingerprint differs from that in run.json."
    if not manifest.validation_rows:
        return f"{folder} has no validation rows."
    return None
