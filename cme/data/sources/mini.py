"""The mini corpus: an invented world in the hub's columns. It grows with the number of rows asked for."""

from typing import TYPE_CHECKING

from cme.errors import SourceError
from cme.suite import DatasetSpec, Part

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EVAL_ROWS", "MiniSource"]

EVAL_ROWS = 512
_LEAST_TRAIN_ROWS = 2048


class MiniSource:
    """Rows of the world.

    Args:
        train_rows: at least so many training rows per dataset, or all that exist. The pool grows in powers of two, so
            mixes of similar sizes draw from the same pool and a smaller one is a prefix of a larger one.
        seed: which world.
    """

    name = "mini"
    place = "the mini corpus"

    def __init__(self, train_rows: int | None = None, seed: int = 0) -> None:
        wanted = max(_LEAST_TRAIN_ROWS, train_rows or 0)
        self._train_rows = 1 << (wanted - 1).bit_length()
        self._seed = seed

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Parts that the world cannot render."""
        from cme import world

        return {
            part.name: f"{part.folder} (the mini corpus has no such rows)"
            for part in spec.parts
            if part.folder not in world.known()
        }

    def locate(self, spec: DatasetSpec, part: Part, split: str) -> str:
        """The mini corpus, named."""
        return f"the mini corpus ({part.folder}/{split})"

    def table(self, spec: DatasetSpec, part: Part, split: str) -> "pa.Table":
        """Generate the split.

        Raises:
            SourceError: the world has no such dataset.
        """
        import pyarrow as pa

        from cme import world

        if part.folder not in world.known():
            raise SourceError(f"the mini corpus has no dataset {part.folder!r}. It has: {', '.join(world.known())}.")
        if split == part.train:
            share = -(-self._train_rows // len(spec.parts))
            count = min(share, world.size(part.folder, split))
        else:
            count = EVAL_ROWS
        return pa.Table.from_pylist(world.rows(part.folder, split, count, seed=self._seed))

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """The world's seed and pool size."""
        return {"world_seed": str(self._seed), "train_rows": str(self._train_rows)}
