"""Tasks on several processes: the same results in any number of them."""

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
"""Below so many rows further processes take longer to start than they save."""


class Workers:
    """Processes for the tasks of one build, started when there is first enough to do and kept until the ``with`` block ends.

    Args:
        most: how many at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool: ProcessPoolExecutor | None = None
        self._pipe: tuple[Connection, Connection] | None = None

    def run(self, function: Callable[[T], Any], tasks: Sequence[T], *, rows: int, advance: Callable[[T], None]) -> None:
        """Call ``function`` on every task, in this process if there is to be no other or little to do.

        Args:
            function: a module's function (or a partial of one) that can be pickled; what it returns is dropped.
            tasks: its arguments.
            rows: how many rows all tasks together are about.
            advance: told of every task that is done.

        Raises:
            CMEError: a process was killed from outside; and whatever ``function`` raises.
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
                "a worker process was killed, most likely because memory ran out. What was finished is kept: run the same "
                "command again, with fewer --workers."
            ) from None

    def _started(self) -> "ProcessPoolExecutor":
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        # Started anew, not forked: Arrow's threads do not survive a fork.
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
            hold.close()  # nobody waits for what is still going on: it would be thrown away, and may take minutes
        self._pool.shutdown(wait=True, cancel_futures=True)
        hold.close()
        alive.close()
        self._pool = self._pipe = None


@contextmanager
def _ctrl_c_held_off() -> "Iterator[None]":
    """Processes that are started here never see Ctrl-C, which the terminal sends to all; the parent sees it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(alive: "Connection") -> None:
    """In a new process: end at once when the other end of the pipe is closed, by the parent or by its death."""
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()


def _end_with(alive: "Connection") -> None:
    alive.poll(None)
    os._exit(1)
