"""The description of a dataset's renderer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cme.mini_corpus.draw import Row, Slot, stream

__all__ = ["LEVELS", "Renderer"]

LEVELS = (1, 2, 3)
"""Levels of graded rows, from the easiest to the hardest."""


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
        grades: levels of graded evaluation rows. Every block of so many rows has each of them, in shuffled order.
        practice: levels of graded training rows, in the same form. Training has more easy rows than evaluation, because rows that
            a small model cannot learn keep it from learning the others.
        together: number of neighbouring rows with the same level, because they share a passage or are twins.
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
    grades: tuple[int, ...] = (1, 1, 2, 2, 3)
    practice: tuple[int, ...] = (1, 1, 1, 2, 2, 3)
    together: int = 1

    def training(self, split: str) -> bool:
        """Return whether ``split`` is for training."""
        return split in self.leaks

    def level(self, split: str, index: int, seed: int) -> tuple[int, int]:
        """Return the level of a graded row that is not a planted copy, and its number among the rows of this level."""
        unit, rest = divmod(index, self.together)
        order = list(self.practice if self.training(split) else self.grades)
        block, place = divmod(unit, len(order))
        stream(seed, self.folder, split, "level", block).shuffle(order)
        level = order[place]
        before = block * order.count(level) + order[:place].count(level)
        return level, before * self.together + rest

    def slot(self, split: str, index: int, seed: int, *, long: bool, hard: bool = False, graded: bool = False) -> Slot:
        """Return the slot of row ``index``. Splits of one name pool alternate, so each has its own entities."""
        training = self.training(split)
        siblings = [name for name in self.sizes if self.training(name) == training]
        serial = index * len(siblings) + siblings.index(split)
        level, turn = self.level(split, index, seed) if graded else (0, index)
        hard = hard or level == LEVELS[-1]
        return Slot(seed, self.folder, split, index, serial, training, long, hard, level, turn)
