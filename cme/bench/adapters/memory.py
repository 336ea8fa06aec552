"""Peak memory of the tensors of a case, with the same definition on a GPU and on a CPU.

The peak includes all tensors on the device: weights of base and adapter, optimiser state, gradients, activations and
key-value cache. Cases are built and freed one after the other, so they do not affect each other. On a GPU the value comes from
CUDA's allocator. On a CPU it is the sum over the allocations that PyTorch's profiler records. The memory of the process itself
(interpreter, libraries, free memory of malloc) is not included. It is the same for every case and would only bring the ratios
closer to 1.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cme.bench.adapters.cases import Case, build
from cme.bench.adapters.settings import BenchSettings
from cme.bench.adapters.work import Work, make_work
from cme.errors import CMEError

__all__ = ["out_of_memory_reported", "peak_memory"]

_MARK = "cme.bench.adapters.memory"


@contextmanager
def out_of_memory_reported(advice: str) -> Iterator[None]:
    """Report a GPU that runs out of memory in one message.

    Args:
        advice: what to do.

    Raises:
        CMEError: instead of PyTorch's error.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        first = str(error).splitlines()[0]
        raise CMEError(f"the GPU is out of memory ({first}). {advice}") from error


def peak_memory(base: Any, case: Case, mode: str, settings: BenchSettings) -> int:
    """Measure the peak memory of one run of a case, in bytes, after a first run that creates the optimiser state.

    Args:
        base: The base model.
        case: The case to build on the base.
        mode: One of `MODES`.
        settings: The settings with batch size and lengths.
    """
    gc.collect()
    device = next(base.parameters()).device
    peak = _on_gpu(base, case, mode, settings) if device.type == "cuda" else _on_cpu(base, case, mode, settings)
    gc.collect()
    return peak


def _on_gpu(base: Any, case: Case, mode: str, settings: BenchSettings) -> int:
    import torch

    device = next(base.parameters()).device
    work = make_work(build(base, case, settings), mode, settings)
    _run(work)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    _run(work)
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device))


def _on_cpu(base: Any, case: Case, mode: str, settings: BenchSettings) -> int:
    from torch.profiler import ProfilerActivity, profile, record_function

    resident = sum(tensor.nbytes for tensor in {id(t): t for t in (*base.parameters(), *base.buffers())}.values())
    with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work = make_work(build(base, case, settings), mode, settings)
        _run(work)
        with record_function(_MARK):
            pass
        _run(work)
        # The profiler must also record that the tensors are freed.
        del work
        gc.collect()
    return int(resident) + _highest(profiler)


def _run(work: Work) -> None:
    work.model.train(work.training)
    with work.context():
        work.run()
        work.reset()


def _highest(profiler: Any) -> int:
    """Return the peak after the mark, in bytes, of the memory that was allocated while the profiler ran."""
    from torch._C._profiler import _EventType

    level = highest = 0
    marked = False
    for event in sorted(_flat(profiler.profiler.kineto_results.experimental_event_tree()), key=_start):
        if event.typed[0] == _EventType.Allocation:
            if event.typed[1].device.type == "cpu":
                level += event.typed[1].alloc_size
        elif event.name == _MARK:
            marked, highest = True, level
        if marked:
            highest = max(highest, level)
    return int(highest)


def _start(event: Any) -> int:
    return int(event.start_time_ns)


def _flat(events: Any) -> Iterator[Any]:
    waiting = list(events)
    while waiting:
        event = waiting.pop()
        yield event
        waiting += event.children


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the profiler's messages, which native code writes to standard error."""
    kept = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    os.close(sink)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
