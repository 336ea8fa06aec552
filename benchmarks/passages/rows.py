"""Generated evaluation rows with as many questions per passage as on the hub."""

from pathlib import Path

from benchmarks.mix.kit import Kit
from benchmarks.mix.mirror import mirror_files
from benchmarks.mix.tables import TABLES
from cme.suite import dataset

__all__ = ["PASSAGES", "write_rows"]

PASSAGES = {
    "race": {"race/test": (4_934, 1_407)},
    "squad_v2": {"squad_v2/validation": (11_873, 1_204)},
    "anli": {"anli/test_r1": (1_000, 810), "anli/test_r2": (1_000, 810), "anli/test_r3": (1_200, 970)},
}
"""Numbers of evaluation rows and of their passages, by dataset and file.

Those of RACE and SQuAD 2.0 are published. Those of ANLI are estimated from samples of 500 rows per file.
"""

_COLUMNS = {"race": "article", "squad_v2": "context", "anli": "premise"}
_SHARERS = {"race": 3, "squad_v2": 5, "anli": 3}
"""Number of rows that share a passage in `benchmarks.mix.tables`."""


def write_rows(folder: Path, name: str, share: float, *, seed: int = 0) -> int:
    """Write the evaluation rows of a dataset in the layout of a mirror.

    The questions are distributed over the passages as evenly as possible, and in random order.

    Args:
        folder: Folder of the mirror.
        name: Name of a dataset of `PASSAGES`.
        share: Share of the passages, above 0 and at most 1. Each passage has all of its questions.
        seed: Seed of the texts and of the order.

    Returns:
        The number of rows.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    total = 0
    for subset in dataset(name).subsets:
        path = f"{subset.folder}/{subset.eval}"
        rows, passages = (max(1, round(number * share)) for number in PASSAGES[name][path])
        file = mirror_files(1)[path]
        rng = np.random.default_rng([seed, file.number])
        kit = Kit(rng, file.number, 0, max(rows, passages * _SHARERS[name]), False)
        table = pa.table(dict(TABLES[file.folder](kit)))
        texts = table[_COLUMNS[name]].take(pa.array(np.arange(passages) * _SHARERS[name]))
        owner = rng.permutation(np.arange(rows) % passages)
        place = table.column_names.index(_COLUMNS[name])
        made = table.slice(0, rows).set_column(place, _COLUMNS[name], texts.take(pa.array(owner)))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(made, folder / f"{path}-00000-of-00001.parquet")
        total += rows
    return total
