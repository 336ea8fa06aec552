"""Interface for storing the answers of finished batches. `cme.evaluation.store` implements it with files."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

__all__ = ["BatchCache", "Kind", "in_order"]

Kind = tuple[str, bool, bool]
"""Kind of batch for the self-check: kind of request, whether all continuations are single tokens, whether there is a prefix."""


class BatchCache:
    """Compute every batch and store nothing."""

    def answers(
        self, batches: Sequence[Any], compute: Callable[[int], list[Any]], first: Collection[int] = ()
    ) -> list[list[Any]]:
        """Return the answers to every batch.

        Args:
            batches: for each batch, a JSON value that determines its answers together with the model.
            compute: function that takes the index of a batch and returns its answers as JSON values. Numbers can be NaN or
                infinite.
            first: indices of the batches that are computed first.
        """
        answers = {number: compute(number) for number in in_order(len(batches), first)}
        return [answers[number] for number in range(len(batches))]

    def holds(self, batches: Sequence[Any]) -> bool:
        """Return whether the answers to any of these batches are stored.

        Args:
            batches: see `answers`.
        """
        return False

    def checked(self, kind: Kind, fault: str | None) -> None:
        """Store the verdict of the self-check on a kind of batch. None means that no fault was detected."""


def in_order(count: int, first: Collection[int]) -> list[int]:
    """Return the numbers below ``count``, with those of ``first`` at the start."""
    return sorted(range(count), key=lambda number: (number not in first, number))
