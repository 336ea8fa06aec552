"""The losses of several masks on the same rows, and the file ``validation.parquet`` that holds them.

| column | type | meaning |
| --- | --- | --- |
| ``mask`` | string | name of the mask: ``all``, ``base``, ``keep-0-2``, ``top1``, ``first-keep-1``, ``draw-3-bundle-0``, … |
| ``dataset``, ``family`` | string | dataset and family of the row |
| ``id``, ``cluster`` | string | id of the row, and its cluster |
| ``tokens`` | int32 | number of answer tokens, with the end-of-text token |
| ``loss`` | float64 | sum of the losses of these tokens in nats |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cme.analysis.load import Array
from cme.errors import DataError
from cme.files import atomic_path
from cme.readers.limits import SAMPLE_FILES
from cme.readers.parquet_file import open_parquet
from cme.stats.means import Means, weighted_means

__all__ = ["LOSS_TABLE", "LossTable", "read_losses", "write_losses"]

LOSS_TABLE = "validation.parquet"
"""Name of the file with the losses, in the folder of an analysis."""

_COLUMNS = ("mask", "dataset", "family", "id", "cluster", "tokens", "loss")


@dataclass(frozen=True, eq=False)
class LossTable:
    """Losses of E masks on n rows.

    Attributes:
        masks: names of the masks, [E].
        datasets: dataset of each row, [n].
        families: family of each row, [n].
        ids: id of each row, [n].
        clusters: cluster of each row, [n].
        tokens: number of answer tokens of each row, [n].
        losses: sums over the answer tokens of each row, [E, n].
    """

    masks: tuple[str, ...]
    datasets: tuple[str, ...]
    families: tuple[str, ...]
    ids: tuple[str, ...]
    clusters: tuple[str, ...]
    tokens: NDArray[np.int64]
    losses: Array

    @property
    def values(self) -> Array:
        """Mean loss over the answer tokens of each row, [E, n]."""
        means: Array = self.losses / self.tokens
        return means

    def places(self, names: Sequence[str]) -> list[int]:
        """Return the places of some masks."""
        return [self.masks.index(name) for name in names]

    def means(self, names: Sequence[str]) -> Means:
        """Return the means over the rows of some masks, with their clustered covariance."""
        return weighted_means(
            {"validation": self.values[self.places(names)]}, {"validation": self.clusters}, {"validation": 1.0}
        )

    def mean(self, name: str) -> float:
        """Return the mean over the rows of one mask."""
        return float(self.values[self.masks.index(name)].mean())


def write_losses(path: Path, table: LossTable) -> None:
    """Write ``validation.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = len(table.masks)
    columns = {
        "mask": np.repeat(np.array(table.masks, dtype=object), len(table.ids)),
        **{
            name: np.tile(np.array(values, dtype=object), count)
            for name, values in zip(
                _COLUMNS[1:5], (table.datasets, table.families, table.ids, table.clusters), strict=True
            )
        },
        "tokens": np.tile(table.tokens.astype(np.int32), count),
        "loss": table.losses.ravel(),
    }
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def read_losses(path: Path) -> LossTable:
    """Read ``validation.parquet``.

    Raises:
        DataError: the file is damaged, or lacks columns or rows.
    """
    advice = "It is damaged: run the analysis again."
    with open_parquet(path, SAMPLE_FILES, advice=advice) as file:
        if missing := [name for name in _COLUMNS if name not in file.schema.names]:
            raise ValueError(f"column {missing[0]} is missing")
        columns = file.table(list(_COLUMNS)).to_pydict()
    masks = tuple(dict.fromkeys(columns["mask"]))
    rows, remainder = divmod(len(columns["mask"]), max(len(masks), 1))
    if (
        not masks
        or remainder
        or any(columns[name] != columns[name][:rows] * len(masks) for name in ("dataset", "id", "cluster", "tokens"))
    ):
        raise DataError(f"{path} does not have the same rows for every mask. {advice}")
    datasets, families, ids, clusters = (tuple(columns[name][:rows]) for name in _COLUMNS[1:5])
    return LossTable(
        masks,
        datasets,
        families,
        ids,
        clusters,
        np.array(columns["tokens"][:rows], dtype=np.int64),
        np.array(columns["loss"], dtype=np.float64).reshape(len(masks), rows),
    )
