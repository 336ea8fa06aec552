"""Real rows, read with pyarrow alone: what the loader's counts are compared with."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cme.data.load import Outcome, load_examples
from cme.data.sources import open_source
from cme.suite import dataset


def stored(folder: Path, name: str) -> pa.Table:
    """A file's table, by its path below the folder without ``.parquet``."""
    return pq.read_table(folder / f"{name}.parquet")


def loaded(folder: Path, name: str, kind: str, *, allow_missing: bool = False) -> Outcome:
    """What the loader makes of a dataset's rows."""
    return load_examples(dataset(name), kind, open_source(str(folder)), allow_missing=allow_missing)
