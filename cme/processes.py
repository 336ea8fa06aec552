"""Groups of processes that share an evaluation or a training: a single process, or those that torchrun started."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from cme.env import processes, rank
from cme.errors import CMEError, RecoverableError

__all__ = ["ALONE", "TIMEOUT", "Group", "joined", "threads_set"]

T = TypeVar("T")

TIMEOUT = timedelta(hours=24)
"""Maximum time that processes wait for each other. Rank 0 may encode millions of rows in the meantime."""


class Group:
    """A group of processes that includes this one.

    Processes of an evaluation exchange small objects over gloo, even if they compute on GPUs. Processes of a training use the
    backend that transformers' Trainer has chosen.

    Args:
        rank: rank of this process.
        size: number of processes.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self._ended = False

    def together(self, work: Callable[[], T]) -> T:
        """Run a function in every process and wait until all have finished.

        Args:
            work: the function.

        Returns:
            The result of this process.

        Raises:
            CMEError: in all processes, if the function failed in one of them. After an error that is not a `RecoverableError`,
                later calls do not wait for the other processes.
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
        """Run a function in rank 0 and send its result to all processes. Errors are handled as in `together`."""
        result = self.together(lambda: work() if self.rank == 0 else None)
        if self.size == 1:
            return result  # type: ignore[return-value]
        import torch.distributed as dist

        results: list[Any] = [result]
        dist.broadcast_object_list(results)
        received: T = results[0]
        return received

    def _first_error(self, error: CMEError | None) -> CMEError | None:
        import torch.distributed as dist

        errors: list[CMEError | None] = [None] * self.size
        dist.all_gather_object(errors, error)
        raised = [item for item in errors if item is not None]
        final = [item for item in raised if not isinstance(item, RecoverableError)]
        self._ended = bool(final)
        # A process prefers its own error, because that has its cause.
        return error if error in final else next(iter([*final, *raised]), None)


ALONE = Group()


@contextmanager
def threads_set(threads: int | None) -> Iterator[None]:
    """Set the number of torch's threads in the context, and restore it at its end.

    Args:
        threads: the number. None or 0 means that the number is neither changed nor restored.
    """
    if not threads:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def joined(*, start: bool = True) -> Iterator[Group]:
    """Join the processes that torchrun started, and leave the group at the end. Without torchrun, the group is this process.

    Args:
        start: initialise the group here, over gloo. If False, transformers' Trainer initialises it, and the group can be used
            afterwards.
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
        # NCCL warns about a group that is not destroyed.
        if dist.is_initialized() and not before:
            dist.destroy_process_group()
