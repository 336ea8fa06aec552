"""Reproducible random choices. Each depends on a text key, so row i does not depend on the rows before it."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, TypeVar

__all__ = ["Row", "Slot", "permute", "stream"]

Row = dict[str, Any]
T = TypeVar("T")


def stream(seed: int, *key: object) -> random.Random:
    """Return a random generator that is the same in every process for the same seed and key."""
    return random.Random("/".join(map(str, (seed, *key))))


@lru_cache(maxsize=4096)
def _affine(seed: int, key: str, size: int) -> tuple[int, int]:
    rng = stream(seed, "permute", key, size)
    step = rng.randrange(size)
    while math.gcd(step, size) != 1:
        step += 1
    return step, rng.randrange(size)


def permute(index: int, size: int, *, seed: int, key: str) -> int:
    """Return the position of ``index`` in a fixed permutation of ``range(size)``, without building the permutation.

    Distinct indices give distinct positions. A million rows can thus get one main entity each without a table.
    """
    if not 0 <= index < size:
        raise ValueError(f"index {index} is outside 0..{size - 1} of {key}")
    step, start = _affine(seed, key, size)
    return (step * index + start) % size


@dataclass(frozen=True)
class Slot:
    """Everything that the content of one row may depend on.

    Attributes:
        seed: seed of the corpus.
        folder: folder, such as ``"arc_easy"``.
        split: hub split name.
        index: row number within the split.
        serial: row number over all splits that share this split's name pool. It gives each row its own entity.
        training: whether the split is for training.
        long: whether texts have realistic lengths.
        hard: whether the row has no shortcuts that a small model learns in minutes.
        level: level of a graded row from 1 (easiest), or 0 in a corpus without levels. Rows of the highest level are hard.
        turn: row number within the split among the rows of its level. Without levels it is ``index``.
    """

    seed: int
    folder: str
    split: str
    index: int
    serial: int
    training: bool
    long: bool
    hard: bool = False
    level: int = 0
    turn: int = 0

    @property
    def pool(self) -> str:
        """Name pool of this split. Training and evaluation entities are disjoint."""
        return "train" if self.training else "eval"

    @cached_property
    def rng(self) -> random.Random:
        """Random generator of this row."""
        return stream(self.seed, self.folder, self.split, self.index)

    def deal(self, items: Sequence[T], topic: str = "", every: int = 1) -> T:
        """Return one of ``items``. Every ``len(items)`` rows of a level get each item exactly once, in shuffled order.

        ``every`` neighbouring rows get the same item.
        """
        block, place = divmod(self.turn // every, len(items))
        order = list(items)
        level = (self.level,) if self.level else ()
        stream(self.seed, self.folder, self.split, topic, "deal", block, *level).shuffle(order)
        return order[place]

    def number(self, digits: int) -> str:
        """Return a hexadecimal identifier of ``digits`` digits."""
        name = stream(self.seed, self.folder, self.split, self.index, "id")
        return f"{name.getrandbits(4 * digits):0{digits}x}"

    def uuid(self) -> str:
        """Return an identifier of 32 hexadecimal digits in five groups."""
        digits = self.number(32)
        return "-".join(digits[a:b] for a, b in pairwise((0, 8, 12, 16, 20, 32)))
