"""Rows of a source → Examples, with every dropped row counted and every bad one named."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cme.data.chunks import pieces, rows_of
from cme.data.example import Content, Dropped, Example, Row
from cme.data.normalise import NORMALISERS
from cme.data.normalise.fields import BadValueError
from cme.data.sources import Source
from cme.errors import DataError, unknown
from cme.suite import DatasetSpec, Subset

__all__ = ["Identity", "Outcome", "RowStream", "load_examples", "normalise_all"]


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
    identity = Identity(spec)
    lacking = source.missing(spec, kind) if allow_missing else {}
    for subset in spec.subsets:
        if subset.name in lacking:
            continue
        split = subset.split(kind)
        where = f"{spec.name}/{split}"
        for piece in pieces(source, spec, subset, split):
            file = str(piece.file or source.locate(spec, subset, split))
            stream = RowStream(spec, subset, where, file, start=piece.start, identity=identity)
            outcome.examples += stream.examples(rows_of(source, spec, piece))
            outcome.read += stream.read
            outcome.dropped += stream.dropped
    return outcome


def normalise_all(rows: list[Row], spec: DatasetSpec) -> Outcome:
    """Normalise rows that are at hand already, as the first part of the dataset.

    Raises:
        DataError: a value is out of range.
    """
    outcome = Outcome()
    stream = RowStream(spec, spec.subsets[0], spec.name, "the rows given")
    outcome.examples = list(stream.examples(rows))
    outcome.read, outcome.dropped = stream.read, stream.dropped
    return outcome


class RowStream:
    """Rows → Examples, one at a time.

    Args:
        spec: the dataset.
        part: the part that the rows belong to.
        where: dataset and split, for messages.
        file: the file, for messages.
        start: number of the first row, for messages.
        identity: gives ids; shared by the streams of one dataset, so that repeated rows are numbered across them.

    Attributes:
        read: rows read so far.
        dropped: rows left out so far, by reason.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        subset: Subset,
        where: str,
        file: str,
        *,
        start: int = 0,
        identity: "Identity | None" = None,
    ) -> None:
        if spec.normaliser not in NORMALISERS:
            raise unknown(f"normaliser of {spec.path}:", spec.normaliser, NORMALISERS)
        self._spec, self._part, self._where, self._file, self._start = spec, subset, where, file, start
        self._identity = identity or Identity(spec)
        self.read = 0
        self.dropped: Counter[str] = Counter()

    def examples(self, rows: Iterable[Row]) -> Iterator[Example]:
        """The rows' examples, without those that are dropped.

        Raises:
            DataError: a value is out of range (dataset, file, column, row number, expected, found).
        """
        spec, subset, example = self._spec, self._part, self._identity.example
        normalise = NORMALISERS[spec.normaliser]
        for row in rows:
            try:
                content = normalise(row, spec)
            except BadValueError as bad:
                raise DataError(
                    f"{self._where}: column {bad.column!r} holds {bad.value!r} at row {self._start + self.read}; "
                    f"expected {bad.expected}.\nThe file is {self._file}. It is damaged or of another version: get it "
                    f"again from {spec.hub_id}."
                ) from None
            self.read += 1
            if isinstance(content, Dropped):
                self.dropped[content.reason] += 1
            else:
                yield example(content, row, subset)


class Identity:
    """Gives examples their id: hash of dataset, key columns and the number of earlier rows with the same key."""

    def __init__(self, spec: DatasetSpec) -> None:
        self._spec = spec
        self._key = [name.split(".") for name in spec.key]
        self._cluster = [name.split(".") for name in spec.cluster]
        self._seen: dict[bytes, int] = {}
        self._shared: Sequence[Any] = ()
        self._sharers = ""

    def example(self, content: Content, row: Row, subset: Subset) -> Example:
        """The content of a row as an example."""
        spec = self._spec
        key = _sha256(_canonical([spec.name, *(_reach(row, path) for path in self._key)]))
        occurrence = self._seen.get(seen := key.digest(), 0)
        self._seen[seen] = occurrence + 1
        key.update(b"#%d" % occurrence)
        identifier = key.hexdigest()[:32]
        shared = content.cluster or [_reach(row, path) for path in self._cluster]
        # What rows share is often a long text, and rows that share it mostly stand together.
        if shared and shared != self._shared:
            self._shared, self._sharers = shared, _sha256(_canonical(shared)).hexdigest()[:16]
        return Example(
            id=identifier,
            dataset=spec.name,
            family=spec.family,
            subset=(row[spec.subset_column] if spec.subset_column else "") or subset.name,
            cluster=self._sharers if shared else identifier,
            instruction=spec.instruction,
            input=content.input,
            output=content.output,
            match=content.match,
            choices=content.choices,
            gold=content.gold,
            answers=content.answers,
            long=content.long,
        )


def _reach(row: Row, path: Sequence[str]) -> Any:
    value: Any = row
    for name in path:
        value = value[name]
    return value


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _canonical(values: Iterable[Any]) -> str:
    """A list as JSON; a value at a time, since the encoder is quick with a text and slow with a list."""
    return f"[{','.join(map(_json, values))}]"


def _sha256(text: str) -> "hashlib._Hash":
    return hashlib.sha256(text.encode("utf-8", "surrogatepass"))
