"""Columns of generated names, phrases, texts, options and labels, of which the tables of the mirror consist."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.mix.lexicon import SENTENCE, boilerplate, join, phrases, sentence_phrases, spell

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Kit"]

_ROW_BITS, _KIND_BITS = 20, 2


@dataclass
class Kit:
    """Generator of the columns of consecutive rows of one file.

    Attributes:
        rng: Random number generator of these rows.
        file: Number of the file in the mirror, below 64. Different files have different names.
        start: Number of the first row.
        rows: Number of rows.
        training: Whether the file contains training rows.
        index: Numbers of the rows.
    """

    rng: "np.random.Generator"
    file: int
    start: int
    rows: int
    training: bool
    index: "NDArray[np.int64]" = field(init=False)

    def __post_init__(self) -> None:
        """Number the rows."""
        import numpy as np

        self.index = np.arange(self.start, self.start + self.rows)

    def names(self, kind: int = 0, count: int | None = None) -> "pa.Array":
        """Return a unique name for each row.

        Args:
            kind: Kind of names, from 0 to 3. Different kinds have different names.
            count: Number of names, if it is smaller than the number of rows.
        """
        return spell(((self.file << _KIND_BITS | kind) << _ROW_BITS) + self.index[:count])

    def numbers(self) -> "pa.Array":
        """Return the numbers of the rows as texts."""
        import pyarrow as pa

        return pa.array(self.index).cast(pa.string())

    def pick(self, kind: str) -> "pa.Array":
        """Return a random phrase for each row (see `benchmarks.mix.lexicon.phrases`)."""
        pool = phrases()[kind]
        return pool.take(self.rng.integers(len(pool), size=self.rows))

    def clause(self) -> "pa.Array":
        """Return twelve words without capitals and full stop for each row."""
        return join(self.pick("who"), " ", self.pick("does"), " ", self.pick("what"), " ", self.pick("where"))

    def one_of(self, texts: Sequence[str]) -> "pa.Array":
        """Return one of the texts for each row, at random."""
        import pyarrow as pa

        return pa.array(texts).take(self.label(len(texts)))

    def label(self, count: int) -> "pa.Array":
        """Return a random number below ``count`` for each row."""
        import pyarrow as pa

        return pa.array(self.rng.integers(count, size=self.rows))

    def texts(
        self, words: int, *, names: "pa.Array | None" = None, least: int = 1, share_of_boilerplate: float = 0.0
    ) -> "pa.Array":
        """Return texts of whole sentences, of which the first begins with a name.

        Args:
            words: Mean number of words. The lengths have a log-normal distribution with sigma 0.4.
            names: One name for each text. The default is the rows' names.
            least: Minimum number of sentences.
            share_of_boilerplate: Share of texts that end with a sentence that other texts also contain.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        names = self.names() if names is None else names
        pool, starts, sizes = sentence_phrases()
        count, kinds = len(names), len(SENTENCE)
        spread = self.rng.lognormal(-0.08, 0.4, count)
        lengths = kinds * np.maximum(least, (words / 16 * spread).round().astype(np.int64))
        ending = self.rng.random(count) < share_of_boilerplate
        lengths += ending
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        kind = (np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)) % kinds
        # Some phrases are much more frequent than others, as in natural text.
        phrase = starts[kind] + (sizes[kind] * self.rng.random(len(kind)) ** 2).astype(np.int64)
        phrase[offsets[:-1]] = len(pool) + np.arange(count)
        stock = boilerplate()
        phrase[offsets[1:][ending] - 1] = len(pool) + count + self.rng.integers(len(stock), size=int(ending.sum()))
        values = pa.concat_arrays([pool, join(names, ","), stock]).take(pa.array(phrase))
        return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values), " ")

    def shared_texts(self, words: int, sharers: int, *, least: int = 1) -> "pa.Array":
        """Return texts that ``sharers`` adjacent rows share. Each text begins with a name of the last kind."""
        import numpy as np
        import pyarrow as pa

        owner = np.arange(self.rows) // sharers
        passages = self.texts(words, names=self.names(3, int(owner[-1]) + 1), least=least)
        return passages.take(pa.array(owner))

    def options(self, count: int) -> "pa.ListArray":
        """Return lists of distinct options for each row."""
        import numpy as np
        import pyarrow as pa

        pool = phrases()["thing"]
        first = self.rng.integers(len(pool), size=self.rows)
        step = self.rng.integers(1, len(pool) // count, size=self.rows)
        chosen = (first[:, None] + step[:, None] * np.arange(count)) % len(pool)
        return self.lists(pool.take(pa.array(chosen.ravel())), count)

    def lists(self, values: "pa.Array", count: int) -> "pa.ListArray":
        """Return lists of ``count`` values for each row."""
        import numpy as np
        import pyarrow as pa

        return pa.ListArray.from_arrays(pa.array(np.arange(self.rows + 1, dtype=np.int32) * count), values)

    def each(self, *columns: "pa.Array") -> "pa.ListArray":
        """Return lists with the values of the columns for each row."""
        import numpy as np
        import pyarrow as pa

        order = np.arange(len(columns) * self.rows).reshape(len(columns), -1).T.ravel()
        return self.lists(pa.concat_arrays(columns).take(pa.array(order)), len(columns))
