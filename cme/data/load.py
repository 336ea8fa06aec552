"""Loading of examples from the rows of a source. Dropped rows are counted, and invalid rows raise an error."""

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
    """The examples of a dataset, and counts of its rows.

    Attributes:
        examples: the examples, in the order of the rows.
        read: number of rows that were read.
        dropped: number of rows that were dropped, by reason.
    """

    examples: list[Example] = field(default_factory=list)
    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def load_examples(spec: DatasetSpec, kind: str, source: Source, *, allow_missing: bool = False) -> Outcome:
    """Load all examples of the training or evaluation splits of a dataset.

    Args:
        spec: the dataset.
        kind: ``"train"`` or ``"eval"``. Splits of the other kind are not read.
        source: where the rows come from.
        allow_missing: leave out subsets that the source lacks.

    Returns:
        The examples and counts.

    Raises:
        SourceError: the source lacks a split, and ``allow_missing`` is not set.
        DataError: a file does not match the definition of the dataset.
    """
    outcome = Outcome()
    identity = Identity(spec)
    lacking = source.missing(spec, kind) if allow_missing else {}
    for subset in spec.subsets_of(kind):
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
    """Normalise rows that are in memory, as rows of the first subset of the dataset.

    Args:
        rows: raw rows with hub columns.
        spec: the dataset.

    Returns:
        The examples and counts.

    Raises:
        DataError: a value is not valid.
    """
    outcome = Outcome()
    stream = RowStream(spec, spec.subsets[0], spec.name, "the given rows")
    outcome.examples = list(stream.examples(rows))
    outcome.read, outcome.dropped = stream.read, stream.dropped
    return outcome


class RowStream:
    """A converter of raw rows to examples.

    Args:
        spec: the dataset.
        subset: subset of the rows.
        where: dataset and split, for messages.
        file: the file, for messages.
        start: number of the first row, for messages.
        identity: source of ids. Streams of one dataset share it, so that repeated rows are numbered across them.

    Attributes:
        read: number of rows read so far.
        dropped: number of rows dropped so far, by reason.
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
        """Yield the examples of the rows that are not dropped.

        Args:
            rows: raw rows.

        Raises:
            DataError: a value is not valid. The message names dataset, file, column, row, value and expected values.
        """
        spec, subset, example = self._spec, self._part, self._identity.example
        normalise = NORMALISERS[spec.normaliser]
        for row in rows:
            try:
                content = normalise(row, spec)
            except BadValueError as bad:
                raise DataError(
                    f"{self._where}: column {bad.column!r} holds {bad.value!r} at row {self._start + self.read}; "
                    f"expected {bad.expected}.\n{self._file} is damaged or another version. Download it again from "
                    f"{spec.hub_id}."
                ) from None
            self.read += 1
            if isinstance(content, Dropped):
                self.dropped[content.reason] += 1
            else:
                yield example(content, row, subset)


class Identity:
    """A source of ids: hashes of the dataset, the key columns and the number of earlier rows with the same key."""

    def __init__(self, spec: DatasetSpec) -> None:
        self._spec = spec
        self._key = [name.split(".") for name in spec.key]
        self._cluster = [name.split(".") for name in spec.cluster]
        self._seen: dict[bytes, int] = {}
        self._shared: Sequence[Any] = ()
        self._sharers = ""

    def example(self, content: Content, row: Row, subset: Subset) -> Example:
        """Return the example with the content of a row."""
        spec = self._spec
        key = _sha256(_canonical([spec.name, *(_reach(row, path) for path in self._key)]))
        occurrence = self._seen.get(seen := key.digest(), 0)
        self._seen[seen] = occurrence + 1
        identifier = _numbered(key, occurrence)
        shared = content.cluster or [_reach(row, path) for path in self._cluster]
        # The shared value is often a long text, and its rows are mostly neighbours. It is hashed once per run of such rows.
        if shared and shared != self._shared:
            self._shared, self._sharers = shared, _sha256(_canonical(shared)).hexdigest()[:16]
        return Example(
            id=identifier,
            dataset=spec.name,
            family=spec.family,
            subset=(row[spec.subset_column] if spec.subset_column else "") or subset.name,
            # Repeated rows are not independent. Their cluster is the id of the first one.
            cluster=self._sharers if shared else _numbered(key, 0) if occurrence else identifier,
            instruction=spec.instruction,
            input=content.input,
            output=content.output,
            match=content.match,
            choices=content.choices,
            gold=content.gold,
            answers=content.answers,
            long=content.long,
        )


def _numbered(key: "hashlib._Hash", occurrence: int) -> str:
    numbered = key.copy()
    numbered.update(b"#%d" % occurrence)
    return numbered.hexdigest()[:32]


def _reach(row: Row, path: Sequence[str]) -> Any:
    value: Any = row
    for name in path:
        value = value[name]
    return value


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _canonical(values: Iterable[Any]) -> str:
    """Encode a list as JSON. Single values are encoded, because the encoder is fast with texts and slow with lists."""
    return f"[{','.join(map(_json, values))}]"


def _sha256(text: str) -> "hashlib._Hash":
    return hashlib.sha256(text.encode("utf-8", "surrogatepass"))
