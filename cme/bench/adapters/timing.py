"""Measurement of times in rounds. In every round each case runs once, in a new random order."""

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from cme.bench.adapters.work import Work

__all__ = ["measure", "synchronize"]

K = TypeVar("K")


def measure(
    works: Mapping[K, Work], *, rounds: int, warmup: int, seed: int, advance: Callable[[], None]
) -> dict[K, list[float]]:
    """Measure the time of every case in every round, in seconds. For decode it is the time per token.

    Other load on the machine affects all cases of a round in a similar way, so ratios are computed within rounds.

    Args:
        works: The work of each case.
        rounds: Number of measured rounds.
        warmup: Number of rounds before the measured ones.
        seed: Seed of the random orders.
        advance: A function that is called after every run.

    Returns:
        The times of the measured rounds, by case.
    """
    draw = random.Random(seed)
    order = list(works)
    times: dict[K, list[float]] = {case: [] for case in works}
    for index in range(warmup + rounds):
        draw.shuffle(order)
        for case in order:
            taken = _timed(works[case])
            if index >= warmup:
                times[case].append(taken)
            advance()
    return times


def synchronize(device: str) -> None:
    """Wait until a GPU has finished all operations. On a CPU, return immediately."""
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _timed(work: Work) -> float:
    device = str(next(work.model.parameters()).device)
    work.model.train(work.training)
    with work.context(), _no_collection():
        synchronize(device)
        start = time.perf_counter()
        work.run()
        synchronize(device)
        taken = time.perf_counter() - start
        work.reset()
    return taken / work.units


@contextmanager
def _no_collection() -> Iterator[None]:
    """Disable garbage collection, which would add to the time of the running case."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
