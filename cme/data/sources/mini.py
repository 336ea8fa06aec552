"""The mini corpus: an invented world in the hub's columns. It grows with the number of rows asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cme.errors import SourceError, unknown
from cme.suite import DatasetSpec, Subset

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EVAL_ROWS", "MiniOptions", "MiniSource"]

EVAL_ROWS = 512
_LEAST_TRAIN_ROWS = 2048


@dataclass(frozen=True)
class MiniOptions:
    """What follows the colon in a source name such as ``mini:hard,long,seed=3``.

    Attributes:
        hard: the shortcuts are closed that let a small model learn the world in minutes.
        long: texts have realistic lengths.
        seed: which world.
    """

    hard: bool = False
    long: bool = False
    seed: int = 0

    @classmethod
    def parse(cls, name: str) -> "MiniOptions":
        """Read a source name.

        Raises:
            UsageError: an option is unknown, or the seed is no whole number.
        """
        values: dict[str, bool | int] = {}
        for option in filter(None, name.removeprefix("mini").removeprefix(":").split(",")):
            key, _, value = option.partition("=")
            if key == "seed" and value.isascii() and value.isdigit():
                values["seed"] = int(value)
            elif option in ("hard", "long"):
                values[option] = True
            else:
                raise unknown(f"option of source {name!r}", option, ("hard", "long", "seed=N"))
        return cls(**values)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """The source's name in records; the same for any order of the options."""
        options = [key for key in ("hard", "long") if getattr(self, key)] + ([f"seed={self.seed}"] if self.seed else [])
        return "mini" + (":" + ",".join(options) if options else "")


class MiniSource:
    """Rows of the world.

    Args:
        train_rows: at least so many training rows per dataset, or all that exist. The pool grows in powers of two, so
            mixes of similar sizes draw from the same pool and a smaller one is a prefix of a larger one.
        options: which world, and how hard it is.
    """

    place = "the mini corpus"

    def __init__(self, train_rows: int | None = None, options: MiniOptions | None = None) -> None:
        wanted = max(_LEAST_TRAIN_ROWS, train_rows or 0)
        self._train_rows = 1 << (wanted - 1).bit_length()
        self._options = options or MiniOptions()
        self.name = self._options.name

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Parts that the world cannot render."""
        from cme import mini_corpus

        return {
            subset.name: f"{subset.folder} (the mini corpus has no such rows)"
            for subset in spec.subsets
            if subset.folder not in mini_corpus.known()
        }

    def locate(self, spec: DatasetSpec, subset: Subset, split: str) -> str:
        """The mini corpus, named."""
        return f"the mini corpus ({subset.folder}/{split})"

    def table(self, spec: DatasetSpec, subset: Subset, split: str) -> "pa.Table":
        """Generate the split.

        Raises:
            SourceError: the world has no such dataset.
        """
        return self.span(spec, subset, split, 0, self.count(spec, subset, split))

    def files(self, spec: DatasetSpec, subset: Subset, split: str) -> list[Path]:
        """None: rows are made when they are asked for."""
        return []

    def count(self, spec: DatasetSpec, subset: Subset, split: str) -> int:
        """Rows of the split.

        Raises:
            SourceError: the world has no such dataset.
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
        """Generate a run of rows of the split."""
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
            difficulty="hard" if options.hard else "easy",
        )
        return pa.Table.from_pylist(made)

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """The world's seed and pool size."""
        return {"world": self.name, "train_rows": str(self._train_rows)}
