"""Rows of a source → Examples, with every dropped row counted and every bad one named."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cme.data.columns import check_columns, unwrap
from cme.data.example import Content, Dropped, Example, Row
from cme.data.normalise import NORMALISERS
from cme.data.normalise.fields import BadValueError
from cme.data.sources import Source
from cme.errors import DataError, unknown
from cme.suite import DatasetSpec, Part

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Outcome", "load_examples", "normalise_all"]

_BATCH = 4096


@dataclass
class Outcome:
    """What became of a dataset's rows.

    Attributes:
        examples: the kept ones, in stored order.
        read: how many rows were read.
        dropped: how many were left out, by reason.
    """

    examples: list[Example] = field(default_factory=list)
    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def load_examples(spec: DatasetSpec, kind: str, source: Source, *, allow_missing: bool = False) -> Outcome:
    """Load all examples of a dataset's training or evaluation splits.

    Args:
        spec: the dataset.
        kind: ``"train"`` or ``"eval"``; nothing of the other kind is read.
        source: where the rows come from.
        allow_missing: leave out parts that the source lacks instead of raising.

    Raises:
        SourceError: the source lacks a split.
        DataError: a file does not hold what the dataset promises (dataset, file, column, row number, expected, found).
    """
    outcome = Outcome()
    identity = _Identity(spec)
    lacking = source.missing(spec, kind) if allow_missing else {}
    for part in spec.parts:
        if part.name in lacking:
            continue
        split = part.split(kind)
        table = unwrap(source.table(spec, part, split), spec)
        where, file = f"{spec.name}/{split}", source.locate(spec, part, split)
        check_columns(table.schema, spec, where, file)
        _normalise(_rows(table, spec), spec, part, identity, outcome, where, file)
    return outcome


def normalise_all(rows: list[Row], spec: DatasetSpec) -> Outcome:
    """Normalise rows that are at hand already, as the first part of the dataset.

    Raises:
        DataError: a value is out of range.
    """
    outcome = Outcome()
    _normalise(iter(rows), spec, spec.parts[0], _Identity(spec), outcome, spec.name, "the rows given")
    return outcome


def _rows(table: "pa.Table", spec: DatasetSpec) -> Iterator[Row]:
    names = {name.split(".")[0] for name in (*spec.columns, *spec.key, *spec.cluster, *filter(None, [spec.part_by]))}
    for batch in table.select([name for name in table.schema.names if name in names]).to_batches(_BATCH):
        yield from batch.to_pylist()


def _normalise(
    rows: Iterator[Row], spec: DatasetSpec, part: Part, identity: "_Identity", outcome: Outcome, where: str, file: str
) -> None:
    if spec.normaliser not in NORMALISERS:
        raise unknown(f"normaliser of {spec.path}:", spec.normaliser, NORMALISERS)
    normalise = NORMALISERS[spec.normaliser]
    for number, row in enumerate(rows):
        outcome.read += 1
        try:
            content = normalise(row, spec)
        except BadValueError as bad:
            raise DataError(
                f"{where}: column {bad.column!r} holds {bad.found!r} at row {number}; expected {bad.expected}.\n"
                f"The file is {file}. It is damaged or of another version: get it again from {spec.hub_id}."
            ) from None
        if isinstance(content, Dropped):
            outcome.dropped[content.reason] += 1
        else:
            outcome.examples.append(identity.example(content, row, part))


class _Identity:
    """Gives examples their id: hash of dataset, key columns and the number of earlier rows with the same key."""

    def __init__(self, spec: DatasetSpec) -> None:
        self._spec = spec
        self._seen: Counter[str] = Counter()

    def example(self, content: Content, row: Row, part: Part) -> Example:
        spec = self._spec
        key = _canonical([spec.name, *(_reach(row, name) for name in spec.key)])
        occurrence = self._seen[key]
        self._seen[key] += 1
        identifier = _hash(f"{key}#{occurrence}", 32)
        shared = content.cluster or [_reach(row, name) for name in spec.cluster]
        cluster = _hash(_canonical(list(shared)), 16) if shared else identifier
        return Example(
            id=identifier,
            dataset=spec.name,
            family=spec.family,
            part=(row[spec.part_by] if spec.part_by else "") or part.name,
            cluster=cluster,
            instruction=spec.instruction,
            input=content.input,
            output=content.output,
            match=content.match,
            choices=content.choices,
            gold=content.gold,
            answers=content.answers,
            long=content.long,
        )


def _reach(row: Row, path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        value = value[name]
    return value


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
