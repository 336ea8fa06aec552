"""Peak memory of each side.

On a GPU: what CUDA's allocator held at most while a side answered a dataset, the weights included. On a CPU malloc keeps what one
side has freed for the other, so that each side gets a process of its own, which answers the dataset with the longest prompts of
each kind; what counts is the highest resident set (``VmHWM``) since its first request, with the interpreter, the libraries and
the weights, and how far that is above what was there at that first request.
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
        side: of `SIDES`.
        peak_bytes: most that it held.
        above_bytes: how much of that came with the requests; None on a GPU.
        datasets: that it answered.
    """

    side: str
    peak_bytes: int
    above_bytes: int | None
    datasets: tuple[str, ...]


def measure_memory(settings: EvalBenchSettings, parts: Sequence[Part], batches: Mapping[str, int]) -> list[Memory]:
    """Measure each side on a CPU, in a process of its own.

    Args:
        settings: of the measurement.
        parts: all that is measured.
        batches: lm-eval's batch size for each kind.

    Returns:
        Nothing where the system does not tell (Linux does).
    """
    if not _REFS.exists():
        return []
    names = _longest(parts)
    alone = replace(settings, datasets=names, device="cpu")
    found = []
    with bar("peak memory", len(SIDES)) as progress:
        for side in SIDES:
            told = json.dumps({"settings": asdict(alone), "side": side, "batches": dict(batches)})
            peak, before = json.loads(measure([sys.executable, "-m", __name__, told]).output)
            found.append(Memory(side, peak, peak - before, names))
            progress.advance()
    return found


def peak_of(side: str, peaks: Mapping[str, int | None]) -> Memory | None:
    """A side's memory from its peak on each dataset, which a GPU tells; None where it does not."""
    known = {name: peak for name, peak in peaks.items() if peak is not None}
    return Memory(side, max(known.values()), None, tuple(known)) if known else None


def _longest(parts: Sequence[Part]) -> tuple[str, ...]:
    """The dataset with the longest prompt of each kind."""
    longest: dict[str, Part] = {}
    for part in parts:
        best = longest.get(part.kind)
        if best is None or max(part.prompt_tokens) > max(best.prompt_tokens):
            longest[part.kind] = part
    return tuple(part.dataset for part in longest.values())


def _child(told: Mapping[str, Any]) -> list[int]:
    """Answer as one side; returns the peak, and what was there before, in bytes."""
    given = told["settings"]
    lists = {name: tuple(given[name]) for name in ("datasets", "batch_sizes")}
    opened = open_all(EvalBenchSettings(**{**given, **lists}))
    lm = opened.side(told["side"])
    _REFS.write_text("5")
    before = _resident("VmRSS")
    for part in opened.parts:
        answer(lm, part, told["batches"][part.kind])
    return [_resident("VmHWM"), before]


def _resident(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) << 10


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_child(json.loads(sys.argv[1]))))
