"""Rows of a mix as token ids, for measurements outside of a training, and the run record that names the mix of an adapter."""

from dataclasses import dataclass
from pathlib import Path

from cme.adapters.load import adapter_fingerprint
from cme.data.example import Dropped
from cme.errors import CMEError
from cme.mix.rows import load_mix, mix_files
from cme.records import Run, read_record
from cme.training.encode import Encoder
from cme.training.unchanged import check_unchanged

__all__ = ["MAX_LENGTH", "MixRow", "own_run", "validation_split"]

MAX_LENGTH = 1024
"""Most tokens of a row if the adapter has no run record. It is the default of a training."""


@dataclass(frozen=True)
class MixRow:
    """A row of a mix as the model reads it.

    Attributes:
        id: id of the row.
        dataset: its dataset.
        family: family of the dataset.
        cluster: cluster of the row, unique over all datasets.
        ids: token ids of the prompt, the answer and the end of text.
        context: number of tokens of the prompt.
    """

    id: str
    dataset: str
    family: str
    cluster: str
    ids: tuple[int, ...]
    context: int


def own_run(adapter: Path) -> Run | None:
    """Return the run record of an adapter, or None if its folder has none or that of another adapter.

    Args:
        adapter: folder of the adapter.
    """
    try:
        run = read_record(adapter / "run.json", Run)
    except CMEError:
        # There is no record, or the file is another program's.
        return None
    return run if run.adapter_fingerprint == adapter_fingerprint(adapter) else None


def validation_split(mix: Path, encoder: Encoder, first: int | None = None) -> tuple[list[MixRow], int]:
    """Read and encode the validation rows of a mix, which are in random order.

    Args:
        mix: folder of the mix.
        encoder: the encoder of the training.
        first: number of rows to read from the start; None for all.

    Returns:
        The rows, and the number of rows that were left out because they are too long.

    Raises:
        CMEError: a file is damaged, or has changed since the mix was built.
    """
    check_unchanged(mix, mix_files(mix, "validation"))
    chosen: list[MixRow] = []
    dropped = 0
    for row in load_mix(mix, "validation").slice(0, first).to_pylist():
        encoded = encoder.row(row)
        if isinstance(encoded, Dropped):
            dropped += 1
            continue
        cluster = f"{row['dataset']}/{row['cluster']}"
        chosen.append(MixRow(row["id"], row["dataset"], row["family"], cluster, tuple(encoded.ids), encoded.context))
    return chosen, dropped
