"""Answers of one side to the requests of one dataset, with time and amount of computation."""

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.evaluation.rows import Part
from cme.bench.adapters.timing import synchronize

__all__ = ["ENGINE", "SIDES", "STOCK", "Answered", "Counts", "answer", "both"]

STOCK, ENGINE = "lm-eval", "cme"
SIDES = (STOCK, ENGINE)


@dataclass(frozen=True)
class Counts:
    """The amount of computation.

    Attributes:
        forwards: Number of forward passes.
        positions: Number of positions in these passes, including padding.
        tokens: Number of positions in these passes, without padding.
    """

    forwards: int
    positions: int
    tokens: int


@dataclass(frozen=True)
class Answered:
    """The answers of a side to the requests of one dataset.

    Attributes:
        answers: For each request, the summed log-probability and whether it is greedy, or the generated text.
        seconds: Time from the requests as text to the answers, including tokenisation, in seconds.
        counts: Amount of computation.
        peak_bytes: Peak memory of the GPU in bytes. None on a CPU.
        used: The code that answered (see `PlainLM.used`).
    """

    answers: Sequence[Any]
    seconds: float
    counts: Counts
    peak_bytes: int | None
    used: str


def answer(lm: Any, part: Part, batch_size: int) -> Answered:
    """Answer the requests of one dataset with one side.

    Args:
        lm: The model from `benchmarks.evaluation.opening.Opened.side`.
        part: The requests.
        batch_size: Number of requests per batch for lm-eval's own code.
    """
    import torch

    from cme.evaluation.lm_eval_runner import quiet

    device = str(lm.device)
    gpu = torch.device(device).type == "cuda"
    lm.batch_size_per_gpu = batch_size
    before = (lm.work.forwards, lm.work.positions, lm.work.tokens)
    gc.collect()
    if gpu:
        torch.cuda.reset_peak_memory_stats(device)
    ask = lm.generate_until if part.kind == "generate" else lm.loglikelihood
    with quiet():
        synchronize(device)
        started = time.perf_counter()
        answers = ask(list(part.requests))
        synchronize(device)
        seconds = time.perf_counter() - started
    after = (lm.work.forwards, lm.work.positions, lm.work.tokens)
    counts = Counts(*(now - then for now, then in zip(after, before, strict=True)))
    return Answered(answers, seconds, counts, torch.cuda.max_memory_allocated(device) if gpu else None, lm.used)


def both(lms: Mapping[str, Any], part: Part, batch_size: int, turn: int) -> dict[str, Answered]:
    """Answer the requests of one dataset with both sides, one after the other. The order alternates with ``turn``."""
    order = SIDES if turn % 2 == 0 else SIDES[::-1]
    return {side: answer(lms[side], part, batch_size) for side in order}
