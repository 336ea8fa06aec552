"""Hand-written rows in the hub's columns, a few for every split that the suite reads, and the mirror made of them.

One module per family. Each says ``ROW`` (dataset → a function of a number that makes a row, equal numbers equal rows) and
``RECIPES`` (folder/split → that function and its first number; no number is in two splits of a dataset).
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = Sequence[Mapping[str, Any]]
_MODULES = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]

ROW: dict[str, Callable[..., dict[str, Any]]] = {name: make for module in _MODULES for name, make in module.ROW.items()}
"""Dataset → its row maker: ``ROW["qqp"](3, label=1)`` is row 3 with another label."""

HAND_ROWS: dict[str, Rows] = {
    name: [make(first + k) for k in range(10)] for module in _MODULES for name, (make, first) in module.RECIPES.items()
}
"""Ten rows for every split, none of them in two splits."""


def write_mirror(folder: Path, files: Mapping[str, Rows | pa.Table]) -> Path:
    """Write a mirror.

    Args:
        folder: its root; made if it is not there.
        files: path below the root, without ``.parquet`` → rows or a table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / f"{name}.parquet")
    return folder
