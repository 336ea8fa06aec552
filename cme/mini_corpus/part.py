"""What a dataset's renderer must say about itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cme.mini_corpus.draw import Row, Slot

__all__ = ["Part"]


@dataclass(frozen=True)
class Part:
    """One part folder of a dataset.

    Attributes:
        folder: part folder, as in a mirror.
        dataset: the dataset it belongs to.
        sizes: hub split name → the most rows that exist.
        make: the row of a slot, without identifiers.
        identify: the identifier columns of a slot, which planted copies get anew.
        texts: columns of the row's key text that planted copies may respell (case, spacing).
        leaks: training split → evaluation split whose rows are planted in it; every other split is for evaluation.
        marks: parts of texts that have a meaning of their own, such as ``<br />``; copies keep them as they are.
        lower: texts are lower-case on the hub, so copies change the spacing only.
        swap: two columns whose order means nothing, exchanged in some copies.
        unlabelled: columns that a row without a label gets, for datasets that have such rows.
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
        """Whether ``split`` is for training."""
        return split in self.leaks

    def slot(self, split: str, index: int, seed: int, *, long: bool, hard: bool = False) -> Slot:
        """Slot of row ``index``; splits of one name pool take turns, so each gets entities of its own."""
        training = self.training(split)
        siblings = [name for name in self.sizes if self.training(name) == training]
        serial = index * len(siblings) + siblings.index(split)
        return Slot(seed, self.folder, split, index, serial, training, long, hard)
