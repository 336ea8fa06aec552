"""Files of row ids: which rows a mix or an evaluation has, without their text.

| column | type | meaning |
| --- | --- | --- |
| ``dataset`` | string | name of the dataset |
| ``split`` | string | ``train`` or ``validation`` of a mix, or ``eval`` |
| ``id`` | string | id of the example |
| ``content`` | string | digest of everything else that must be equal, see `content_digest`; may be absent |

The rows of a dataset and split are in the order in which they are used. The metadata of the file has an `IdsHead` as JSON.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cme.config import Items, build
from cme.errors import CMEError
from cme.files import atomic_path, sha256_file
from cme.readers.limits import ID_FILES
from cme.readers.parquet_file import open_parquet
from cme.records.base import Record
from cme.records.manifest import Manifest
from cme.records.rows import RowSelection

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "EvaluatedRows",
    "IdsHead",
    "MixOfIds",
    "RowIds",
    "content_digest",
    "evaluated_content",
    "is_ids_file",
    "read_ids",
    "read_ids_head",
    "write_ids",
]

_HEAD = b"cme"
_COLUMNS = ("dataset", "split", "id", "content")
_SPLITS = ("train", "validation", "eval")


class MixOfIds(Record):
    """The mix that the ids describe.

    Attributes:
        manifest: its manifest.
        rows_per_shard: most rows in one file.
        settings: further settings with which it was built, as far as its folder records them.
    """

    manifest: Manifest
    rows_per_shard: int
    settings: dict[str, Any]


class EvaluatedRows(Record):
    """The evaluation whose rows the ids are.

    Attributes:
        tier: smoke, quick, standard or full.
        source: hub, mini or the mirror's name.
        task_fingerprints: fingerprint of each dataset's YAML.
        counts: number of rows of each dataset.
        missing: splits that the source lacked.
        rows: how the rows were chosen, if they are not simply those of the tier.
    """

    tier: str
    source: str
    task_fingerprints: dict[str, str]
    counts: dict[str, int]
    missing: Items[str] = ()
    rows: RowSelection | None = None


class IdsHead(Record):
    """What a file of row ids says about its rows. A file that another program made may have neither.

    Attributes:
        mix: the mix, for ids of training rows.
        evaluation: the evaluation, for ids of evaluation rows.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("mix", "evaluation")

    mix: MixOfIds | None = None
    evaluation: EvaluatedRows | None = None


@dataclass(frozen=True)
class RowIds:
    """A file of row ids.

    Attributes:
        file: the file.
        sha256: SHA-256 of the file.
        head: what the file says about its rows.
        table: its rows, with the columns ``dataset``, ``split``, ``id`` and ``content``.
    """

    file: Path
    sha256: str
    head: IdsHead
    table: "pa.Table"

    def of(self, split: str) -> dict[str, dict[str, str | None]]:
        """Return the content digest by id of the rows of a split, by dataset. Both keep the order of the file."""
        import pyarrow.compute as pc

        chosen = self.table.filter(pc.equal(self.table["split"], split))
        digests: dict[str, dict[str, str | None]] = {}
        for name in chosen["dataset"].unique().to_pylist():
            rows = chosen.filter(pc.equal(chosen["dataset"], name))
            digests[name] = dict(zip(rows["id"].to_pylist(), rows["content"].to_pylist(), strict=True))
        return digests


def content_digest(values: Sequence[Any]) -> str:
    """Compute the digest of the content of a row: 32 hexadecimal digits of BLAKE2b of the values as compact JSON.

    Args:
        values: for a training row its input, output, subset, cluster, choices, right choice, answers and the range that may be
            cut. For an evaluation row its subset, cluster, number of options and right option, because results have no text.
    """
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def evaluated_content(row: Mapping[str, Any]) -> str:
    """Compute the content digest of an evaluation row from its sample (`cme.records.samples`)."""
    return content_digest([row["part"], row["cluster"], row["options"], row["gold"]])


def write_ids(file: Path, rows: "pa.Table", head: IdsHead) -> None:
    """Write a file of row ids atomically. Equal rows and heads give identical bytes.

    Args:
        file: the Parquet file.
        rows: the columns ``dataset``, ``split``, ``id`` and ``content``, all of them texts.
        head: what to say about the rows.
    """
    import pyarrow.parquet as pq

    text = json.dumps(head.plain(), ensure_ascii=False, sort_keys=True, allow_nan=False)
    table = rows.select(list(_COLUMNS)).replace_schema_metadata({_HEAD: text.encode()})
    with atomic_path(file) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=["dataset", "split"])


def read_ids(file: Path) -> RowIds:
    """Read a file of row ids. Files of other programs need the columns ``dataset`` and ``id`` only; their rows are ``eval`` rows.

    Raises:
        CMEError: the file is missing or damaged, lacks a column, has one of another type or an unknown split, or names a row
            twice.
    """
    import pyarrow as pa

    if not file.is_file():
        raise CMEError(f"{file} does not exist. Make a file of row ids with 'cme ids', or give the path of one.")
    advice = "Give a file that 'cme ids' wrote, or a Parquet file with the text columns dataset and id."
    with open_parquet(file, ID_FILES, error=CMEError, advice=advice) as opened:
        known = [name for name in _COLUMNS if name in opened.schema.names]
        if lacking := [name for name in ("dataset", "id") if name not in known]:
            raise CMEError(f"{file} has no column {' and no column '.join(map(repr, lacking))}. {advice}")
        table = opened.table(known)
        head = (opened.schema.metadata or {}).get(_HEAD)
    for name in known:
        if not (
            pa.types.is_string(table.schema.field(name).type) or pa.types.is_large_string(table.schema.field(name).type)
        ):
            raise CMEError(f"{file}: column {name!r} has the type {table.schema.field(name).type}, not text. {advice}")
    columns = {name: table[name].cast(pa.string()) for name in known}
    columns.setdefault("split", pa.chunked_array([pa.repeat("eval", len(table))]))
    columns.setdefault("content", pa.chunked_array([pa.nulls(len(table), pa.string())]))
    table = pa.table({name: columns[name] for name in _COLUMNS})
    _check(file, table)
    return RowIds(file, sha256_file(file), _head(file, head), table)


def read_ids_head(file: Path) -> IdsHead:
    """Read what a file of row ids says about its rows, without the rows.

    Raises:
        CMEError: the file is missing or damaged.
    """
    if not file.is_file():
        raise CMEError(f"{file} does not exist. Make a file of row ids with 'cme ids', or give the path of one.")
    with open_parquet(file, ID_FILES, error=CMEError, advice="Make it again with 'cme ids'.") as opened:
        return _head(file, (opened.schema.metadata or {}).get(_HEAD))


def is_ids_file(file: Path) -> bool:
    """Return whether `write_ids` wrote a file, from its columns and metadata."""
    try:
        with open_parquet(file, ID_FILES, error=CMEError, advice="") as opened:
            return tuple(opened.schema.names) == _COLUMNS and _HEAD in (opened.schema.metadata or {})
    except CMEError:
        return False


def _check(file: Path, table: "pa.Table") -> None:
    import pyarrow.compute as pc

    if not len(table):
        raise CMEError(f"{file} has no rows.")
    for name in ("dataset", "split", "id"):
        if table[name].null_count:
            raise CMEError(f"{file}: column {name!r} has empty values.")
    if strange := [name for name in table["split"].unique().to_pylist() if name not in _SPLITS]:
        raise CMEError(f"{file}: split {strange[0][:100]!r} is not one of {', '.join(_SPLITS)}.")
    kinds = pc.if_else(pc.equal(table["split"], "eval"), "eval", "mix")
    keys = pc.binary_join_element_wise(table["dataset"], kinds, table["id"], "\x1f")
    if pc.count_distinct(keys).as_py() != len(table):
        counted = pc.value_counts(keys.combine_chunks()).to_pylist()
        dataset, _, row = next(item["values"] for item in counted if item["counts"] > 1).split("\x1f")
        raise CMEError(f"{file} names the row {row[:100]!r} of {dataset[:100]!r} twice. Every row can be used once.")


def _head(file: Path, text: bytes | None) -> IdsHead:
    if text is None:
        return IdsHead()
    try:
        values = json.loads(text)
    except ValueError as error:
        raise CMEError(f"{file}: its metadata is not valid JSON ({error}). Get the file again.") from None
    if not isinstance(values, dict):
        raise CMEError(f"{file}: its metadata is not a mapping. Get the file again.")
    return build(IdsHead, values, f"{file}: metadata", error=CMEError)
