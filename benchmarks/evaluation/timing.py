"""One side answers one dataset: what it says, how long it takes, what it computes."""

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
    """What was computed.

    Attributes:
        forwards: passes through the model.
        positions: positions in them, padding included.
        tokens: positions in them without padding.
    """

    forwards: int
    positions: int
    tokens: int


@dataclass(frozen=True)
class Answered:
    """A side's answers to a part.

    Attributes:
        answers: (summed log-probability, greedy?) or a text for each request, in order.
        seconds: from the requests as text to the answers, tokenisation included.
        counts: what was computed.
        peak_bytes: most memory of a GPU during that; None on a CPU.
        used: what answered, see `PlainLM.used`.
    """

    answers: Sequence[Any]
    seconds: float
    counts: Counts
    peak_bytes: int | None
    used: str


def answer(lm: Any, part: Part, batch_size: int) -> Answered:
    """Let one side answer a part.

    Args:
        lm: of `benchmarks.evaluation.opening.Opened.side`.
        part: what is asked.
        batch_size: requests per batch where lm-eval's own code answers.
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
    """Let both sides answer a part, one after the other; who is first alternates with ``turn``."""
    order = SIDES if turn % 2 == 0 else SIDES[::-1]
    return {side: answer(lms[side], part, batch_size) for side in order}
