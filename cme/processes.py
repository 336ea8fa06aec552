"""The processes that share an evaluation or a training: one, or those that torchrun has started."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from cme.env import processes, rank
from cme.errors import CMEError, RecoverableError

__all__ = ["ALONE", "TIMEOUT", "Group", "joined"]

T = TypeVar("T")

TIMEOUT = timedelta(hours=24)
"""How long processes wait for each other: the first one may encode millions of rows meanwhile."""


class Group:
    """Some processes, of which this is one.

    An evaluation's processes exchange objects over gloo, also where they compute on GPUs, because it is little. A training's use
    what transformers' Trainer has chosen.

    Args:
        rank: the number of this process.
        size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self._ended = False

    def together(self, work: Callable[[], T]) -> T:
        """Do some work in every process; all wait for the last one.

        Raises:
            CMEError: one of them failed: all raise its error. After an error that is no `RecoverableError`, they wait no more.
        """
        result, error = None, None
        try:
            result = work()
        except CMEError as raised:
            error = raised
        if self.size > 1 and not self._ended:
            error = self._first_error(error)
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def first(self, work: Callable[[], T]) -> T:
        """Do some work in the first process, and hand its result to all of them; errors as in `together`."""
        result = self.together(lambda: work() if self.rank == 0 else None)
        if self.size == 1:
            return result  # type: ignore[return-value]
        import torch.distributed as dist

        box: list[Any] = [result]
        dist.broadcast_object_list(box)
        found: T = box[0]
        return found

    def _first_error(self, error: CMEError | None) -> CMEError | None:
        import torch.distributed as dist

        errors: list[CMEError | None] = [None] * self.size
        dist.all_gather_object(errors, error)
        raised = [item for item in errors if item is not None]
        final = [item for item in raised if not isinstance(item, RecoverableError)]
        self._ended = bool(final)
        # Its own error keeps its cause.
        return error if error in final else next(iter([*final, *raised]), None)


ALONE = Group()


@contextmanager
def joined(*, start: bool = True) -> Iterator[Group]:
    """The processes that torchrun has started, or this one alone; the group is left at the end.

    Args:
        start: join them here, over gloo. If False, transformers' Trainer joins them, and the group can be used after that.
    """
    if processes() == 1:
        yield ALONE
        return
    import torch.distributed as dist

    before = dist.is_initialized()
    if start and not before:
        dist.init_process_group("gloo", timeout=TIMEOUT)
    try:
        yield Group(rank(), processes())
    finally:
        # NCCL complains about a group that is left open.
        if dist.is_initialized() and not before:
            dist.destroy_process_group()
