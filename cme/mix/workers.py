"""Worker processes for the tasks of a build. The results do not depend on their number."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cme.errors import CMEError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing.connection import Connection

__all__ = ["Workers"]

T = TypeVar("T")


FEW_ROWS = 50_000
"""With fewer rows, worker processes take longer to start than they save."""


class Workers:
    """Worker processes of one build, which start with the first large job and stop at the end of the ``with`` block.

    Args:
        most: maximum number of processes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool: ProcessPoolExecutor | None = None
        self._pipe: tuple[Connection, Connection] | None = None

    def run(self, function: Callable[[T], Any], tasks: Sequence[T], *, rows: int, advance: Callable[[T], None]) -> None:
        """Call ``function`` for every task, in this process if only one is allowed or the work is small.

        Args:
            function: function of a module, or a partial of one, that can be pickled. Its return value is ignored.
            tasks: arguments of the calls.
            rows: number of rows of all tasks.
            advance: called with every finished task.

        Raises:
            CMEError: a worker process was killed. Errors of ``function`` are raised unchanged.
        """
        if min(self._most, len(tasks)) < 2 or rows < FEW_ROWS:
            for task in tasks:
                function(task)
                advance(task)
            return
        from concurrent.futures import as_completed
        from concurrent.futures.process import BrokenProcessPool

        pool = self._pool or self._started()
        try:
            with _ctrl_c_held_off():
                futures = {pool.submit(function, task): task for task in tasks}
            for future in as_completed(futures):
                future.result()
                advance(futures[future])
        except BrokenProcessPool:
            raise CMEError(
                "a worker process was killed, most likely because memory ran out. Run the same command again with fewer "
                "--workers; finished work is kept."
            ) from None

    def _started(self) -> "ProcessPoolExecutor":
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        # Processes are spawned and not forked, because the threads of Arrow do not survive a fork.
        context = get_context("spawn")
        self._pipe = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(self._most, mp_context=context, initializer=_begin, initargs=self._pipe[:1])
        return self._pool

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool is None or self._pipe is None:
            return
        alive, hold = self._pipe
        if kind is not None:
            hold.close()  # ends the running tasks, whose results are not needed and which can take minutes
        self._pool.shutdown(wait=True, cancel_futures=True)
        hold.close()
        alive.close()
        self._pool = self._pipe = None


@contextmanager
def _ctrl_c_held_off() -> "Iterator[None]":
    """Start processes that ignore Ctrl-C, which the terminal sends to all processes. The parent receives it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(alive: "Connection") -> None:
    """Make a worker process end as soon as the parent closes the other end of the pipe or dies."""
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()


def _end_with(alive: "Connection") -> None:
    alive.poll(None)
    os._exit(1)
