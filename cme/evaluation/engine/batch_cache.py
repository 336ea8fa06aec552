"""What becomes of finished batches: computed anew each time here, kept in files by `cme.evaluation.store`."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

__all__ = ["Keep", "Kind", "in_order"]

Kind = tuple[str, bool, bool]
"""What the self-check distinguishes: (what is asked for, single tokens only?, with a common prefix?)."""


class Keep:
    """Keeps nothing: every batch is computed."""

    def answers(
        self, batches: Sequence[Any], compute: Callable[[int], list[Any]], first: Collection[int] = ()
    ) -> list[list[Any]]:
        """The answers to every batch.

        Args:
            batches: what decides the answers of each besides the model: JSON values.
            compute: number of a batch → its answers (JSON values, not finite numbers included).
            first: numbers of the batches to begin with.
        """
        answers = {number: compute(number) for number in in_order(len(batches), first)}
        return [answers[number] for number in range(len(batches))]

    def checked(self, kind: Kind, fault: str | None) -> None:
        """Take note of what the self-check says of a kind of batch; None: nothing is wrong."""


def in_order(count: int, first: Collection[int]) -> list[int]:
    """The numbers below ``count``, some of them first."""
    return sorted(range(count), key=lambda number: (number not in first, number))
