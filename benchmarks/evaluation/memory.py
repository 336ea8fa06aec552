"""Peak memory of each side.

On a GPU it is the maximum of CUDA's allocator while a side answers a dataset, including the weights. On a CPU each side runs in
its own process, because malloc keeps memory that the other side has freed. The process answers the dataset with the longest
prompts of each kind. The peak is the highest resident set (``VmHWM``) since the first request, including the interpreter, the
libraries and the weights. The increase since the first request is reported, too.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.evaluation.opening import open_all
from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.settings import EvalBenchSettings
from benchmarks.evaluation.timing import SIDES, answer
from benchmarks.mix.usage import measure
from cme.progress import bar

__all__ = ["Memory", "measure_memory", "peak_of"]

_STATUS, _REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Memory:
    """Peak memory of one side.

    Attributes:
        side: One of `SIDES`.
        peak_bytes: Peak memory in bytes.
        above_bytes: Increase of memory since the first request, in bytes. None on a GPU.
        datasets: The datasets that the side answered.
    """

    side: str
    peak_bytes: int
    above_bytes: int | None
    datasets: tuple[str, ...]


def measure_memory(settings: EvalBenchSettings, parts: Sequence[Part], batches: Mapping[str, int]) -> list[Memory]:
    """Measure the memory of each side on a CPU, each in its own process.

    Args:
        settings: The settings of the measurement.
        parts: All requests of the measurement.
        batches: lm-eval's batch size for each kind.

    Returns:
        The memory of each side. The list is empty on other systems than Linux.
    """
    if not _REFS.exists():
        return []
    names = _longest(parts)
    alone = replace(settings, datasets=names, device="cpu")
    memories = []
    with bar("peak memory", len(SIDES)) as progress:
        for side in SIDES:
            job = json.dumps({"settings": asdict(alone), "side": side, "batches": dict(batches)})
            peak, before = json.loads(measure([sys.executable, "-m", __name__, job]).output)
            memories.append(Memory(side, peak, peak - before, names))
            progress.advance()
    return memories


def peak_of(side: str, peaks: Mapping[str, int | None]) -> Memory | None:
    """Return a side's memory from its peak on each dataset, or None if no peak is known."""
    known = {name: peak for name, peak in peaks.items() if peak is not None}
    return Memory(side, max(known.values()), None, tuple(known)) if known else None


def _longest(parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the dataset with the longest prompt for each kind."""
    longest: dict[str, Part] = {}
    for part in parts:
        best = longest.get(part.kind)
        if best is None or max(part.prompt_tokens) > max(best.prompt_tokens):
            longest[part.kind] = part
    return tuple(part.dataset for part in longest.values())


def _child(job: Mapping[str, Any]) -> list[int]:
    """Answer the requests with one side. Return the peak memory and the memory before the first request, in bytes."""
    given = job["settings"]
    lists = {name: tuple(given[name]) for name in ("datasets", "batch_sizes")}
    opened = open_all(EvalBenchSettings(**{**given, **lists}))
    lm = opened.side(job["side"])
    _REFS.write_text("5")
    before = _resident("VmRSS")
    for part in opened.parts:
        answer(lm, part, job["batches"][part.kind])
    return [_resident("VmHWM"), before]


def _resident(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) << 10


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_child(json.loads(sys.argv[1]))))
