"""The mini corpus as a source: synthetic rows with hub columns. It grows with the number of requested rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cme.errors import SourceError, UsageError, unknown
from cme.suite import DatasetSpec, Subset

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EVAL_ROWS", "MiniOptions", "MiniSource"]

EVAL_ROWS = 512
_LEAST_TRAIN_ROWS = 2048
_FLAGS = ("graded", "hard", "long")


@dataclass(frozen=True)
class MiniOptions:
    """The options in the name of a source, such as ``mini:graded,long,seed=3``.

    Attributes:
        graded: whether the rows have several known levels of difficulty.
        hard: whether the rows have no shortcuts that a small model learns in minutes.
        long: whether texts have realistic lengths.
        seed: seed of the corpus.
    """

    graded: bool = False
    hard: bool = False
    long: bool = False
    seed: int = 0

    @classmethod
    def parse(cls, name: str) -> "MiniOptions":
        """Parse the name of a source.

        Raises:
            UsageError: an option is unknown, the seed is not a whole number or given twice, or two options exclude each other.
        """
        values: dict[str, bool | int] = {}
        for option in filter(None, name.removeprefix("mini").removeprefix(":").split(",")):
            key, _, value = option.partition("=")
            if key in values and key == "seed":
                raise UsageError(f"source {name!r} has several seeds. Give one of them.")
            if key == "seed" and value.isascii() and value.isdigit():
                values["seed"] = int(value)
            elif option in _FLAGS:
                values[option] = True
            else:
                raise unknown(f"option of source {name!r}", option, (*_FLAGS, "seed=N"))
        if values.get("graded") and values.get("hard"):
            raise UsageError(
                f"the options graded and hard of source {name!r} exclude each other, because graded rows have their own levels. "
                "Give one of them."
            )
        return cls(**values)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """Name of the source in records, which does not depend on the order of the options."""
        options = [key for key in _FLAGS if getattr(self, key)] + ([f"seed={self.seed}"] if self.seed else [])
        return "mini" + (":" + ",".join(options) if options else "")


class MiniSource:
    """Rows of the mini corpus.

    Args:
        train_rows: least number of training rows per dataset, up to all that exist. The number is rounded up to a power of two,
            so that mixes of similar sizes use the same rows, and a smaller mix is a prefix of a larger one.
        options: options of the corpus.
    """

    place = "the mini corpus"

    def __init__(self, train_rows: int | None = None, options: MiniOptions | None = None) -> None:
        wanted = max(_LEAST_TRAIN_ROWS, train_rows or 0)
        self._train_rows = 1 << (wanted - 1).bit_length()
        self._options = options or MiniOptions()
        self.name = self._options.name

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Return the subsets that the corpus does not have."""
        from cme import mini_corpus

        return {
            subset.name: f"{subset.folder} (the mini corpus has no such rows)"
            for subset in spec.subsets_of(kind)
            if subset.folder not in mini_corpus.known()
        }

    def locate(self, spec: DatasetSpec, subset: Subset, split: str) -> str:
        """Return the name of the split in the mini corpus."""
        return f"the mini corpus ({subset.folder}/{split})"

    def table(self, spec: DatasetSpec, subset: Subset, split: str) -> "pa.Table":
        """Generate the split.

        Raises:
            SourceError: the corpus has no such dataset.
        """
        return self.span(spec, subset, split, 0, self.count(spec, subset, split))

    def files(self, spec: DatasetSpec, subset: Subset, split: str) -> list[Path]:
        """Return no files, because the rows are generated."""
        return []

    def count(self, spec: DatasetSpec, subset: Subset, split: str) -> int:
        """Return the number of rows of the split.

        Raises:
            SourceError: the corpus has no such dataset.
        """
        from cme import mini_corpus

        if subset.folder not in mini_corpus.known():
            raise SourceError(
                f"the mini corpus has no dataset {subset.folder!r}. It has: {', '.join(mini_corpus.known())}."
            )
        if split != subset.train:
            return EVAL_ROWS
        return min(-(-self._train_rows // len(spec.subsets)), mini_corpus.size(subset.folder, split))

    def span(self, spec: DatasetSpec, subset: Subset, split: str, start: int, rows: int) -> "pa.Table":
        """Generate ``rows`` rows of the split from row ``start``."""
        import pyarrow as pa

        from cme import mini_corpus

        options = self._options
        made = mini_corpus.rows(
            subset.folder,
            split,
            rows,
            start=start,
            seed=options.seed,
            lengths="long" if options.long else "short",
            difficulty="graded" if options.graded else "hard" if options.hard else "easy",
        )
        return pa.Table.from_pylist(made)

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """Return the name of the corpus, with its options, and the number of training rows."""
        return {"world": self.name, "train_rows": str(self._train_rows)}
