"""Time, measured in turns: in every round each case runs once, in an order drawn anew."""

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
    """Seconds of every case in every round; for decode, per token.

    What the machine does meanwhile falls on all cases alike, so ratios are taken within a round.

    Args:
        works: by case.
        rounds: how many are measured.
        warmup: how many come first and are not.
        seed: of the orders.
        advance: called after every run.
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
    """Wait for a GPU to finish what was asked of it."""
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
    """Python's garbage collection would fall on whichever case is running."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
