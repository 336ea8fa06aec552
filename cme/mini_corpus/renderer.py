"""The description of a dataset's renderer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cme.mini_corpus.draw import Row, Slot

__all__ = ["Renderer"]


@dataclass(frozen=True)
class Renderer:
    """One folder of a dataset.

    Attributes:
        folder: folder, as in a mirror.
        dataset: name of the dataset.
        sizes: maximum number of rows by hub split.
        make: function that makes the row of a slot, without identifiers.
        identify: function that makes the identifier columns of a slot. Planted copies get new identifiers.
        texts: columns of the row's key text in which planted copies may change case and spacing.
        leaks: maps a training split to the evaluation split whose rows are planted in it. All other splits are for evaluation.
        marks: substrings with a special meaning, such as ``<br />``, which copies do not change.
        lower: whether texts are lower-case on the hub. Copies then change only the spacing.
        swap: two columns whose order has no meaning. Some copies exchange them.
        unlabelled: columns of a row without a label, for datasets that have such rows.
    """

    folder: str
    dataset: str
    sizes: Mapping[str, int]
    make: Callable[[Slot], Row]
    identify: Callable[[Slot], Row]
    texts: tuple[str, ...]
    leaks: Mapping[str, str]
    marks: tuple[str, ...] = ()
    lower: bool = False
    swap: tuple[str, str] | None = None
    unlabelled: Row | None = None

    def training(self, split: str) -> bool:
        """Return whether ``split`` is for training."""
        return split in self.leaks

    def slot(self, split: str, index: int, seed: int, *, long: bool, hard: bool = False) -> Slot:
        """Return the slot of row ``index``. Splits of one name pool alternate, so each has its own entities."""
        training = self.training(split)
        siblings = [name for name in self.sizes if self.training(name) == training]
        serial = index * len(siblings) + siblings.index(split)
        return Slot(seed, self.folder, split, index, serial, training, long, hard)
