"""``cme build-data`` on a generated mirror, alone or in turns with the plain pipelines that do the same."""

import json
import os
import platform
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.mix.mirror import mirror_files, planted, write_mirror
from benchmarks.mix.usage import Usage, measure
from cme.errors import UsageError
from cme.files import read_json
from cme.machine import processor_name

__all__ = ["KINDS", "DataReport", "Timing", "measure_data"]

FULL_SIZE = 2_500_000
KINDS = ("build-data --no-decontamination", "datasets pipeline", "build-data", "decontamination over Python sets")
"""What is run, in this order; the second and the fourth in comparisons only."""


@dataclass(frozen=True)
class Timing:
    """One kind of run at one size, median over the rounds.

    Attributes:
        share: of the full size.
        kind: one of `KINDS`.
        rows: training rows of the mirror.
        seconds: wall time of the whole command; for the decontamination over Python sets its own time (learning the
            evaluation items, and looking rows up, shared evenly by the processes) without reading, normalising and key
            texts, which ``build-data --no-decontamination`` has to do as well.
        peak: most memory in bytes, see `benchmarks.mix.usage.Usage`.
        own: what of it is no file.
    """

    share: float
    kind: str
    rows: int
    seconds: float
    peak: int
    own: int


@dataclass(frozen=True)
class DataReport:
    """A whole measurement.

    Attributes:
        timings: by share and kind.
        mix_ratios: by share: time of the `datasets` pipeline / time of ``build-data --no-decontamination``, a median.
        decontamination_ratios: by share: time of the decontamination over Python sets / (time of ``build-data`` - time of
            ``build-data --no-decontamination``), median over the rounds.
        planted_found: by share: the mix's manifest counts all planted duplicates and leaks.
        more_found: by share: rows that decontamination found besides; texts are drawn by chance, and some come out alike.
        same_found: by share: both found the same numbers of rows for every pair of datasets and every rule.
        workers: processes.
        rounds: times that every kind was run, in turns.
        hardware: the processor.
        cpus: how many there are.
        versions: of the libraries that do the work.
    """

    timings: tuple[Timing, ...]
    mix_ratios: dict[str, float]
    decontamination_ratios: dict[str, float]
    planted_found: dict[str, bool]
    more_found: dict[str, int]
    same_found: dict[str, bool]
    workers: int
    rounds: int
    hardware: str
    cpus: int
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def measure_data(
    shares: Sequence[float],
    mirrors: Path,
    out: Path,
    *,
    workers: int = 2,
    rounds: int = 1,
    compare: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> DataReport:
    """Make the mirrors that are lacking (not timed), and build mixes of them.

    Args:
        shares: of the full size, each in [0.005, 1].
        mirrors: folder of the mirrors, ``share-…`` each; they stay there for the next time.
        out: folder for the mixes; of every share the last one that was built with decontamination stays there.
        workers: processes of every run.
        rounds: how often to run everything.
        compare: also run the plain pipelines.
        say: told what is going on.

    Raises:
        UsageError: a share is out of its range, or ``out`` holds results of these shares.
        CMEError: a run failed.
    """
    for share in shares:
        mirror_files(share)
        if (out / _name(share)).exists():
            raise UsageError(f"{out / _name(share)} is there already. Give another --out, or remove it.")
    timings: list[Timing] = []
    mix_ratios, decontamination_ratios = dict[str, float](), dict[str, float]()
    planted_found, more_found, same_found = dict[str, bool](), dict[str, int](), dict[str, bool]()
    for share in shares:
        name, mirror, work = _name(share), mirrors / _name(share), out / _name(share)
        say(f"{name}: making the mirror")
        write_mirror(mirror, share, workers=workers)
        runs: dict[str, list[Usage]] = {kind: [] for kind in (KINDS if compare else KINDS[::2])}
        for number in range(rounds):
            for kind, usages in runs.items():
                say(f"{name}: {kind}, round {number + 1} of {rounds}")
                usages.append(_run(kind, mirror, work, workers, round(FULL_SIZE * share)))
        rows = sum(file.rows for file in mirror_files(share).values() if file.own)
        timings += [_timing(share, kind, rows, usages) for kind, usages in runs.items()]
        planted_found[name], more_found[name] = _found(work / "mix", share)
        if compare:
            without, plain, whole, sets = ([usage.seconds for usage in runs[kind]] for kind in KINDS)
            mix_ratios[name] = statistics.median(a / b for a, b in zip(plain, without, strict=True))
            decontamination_ratios[name] = statistics.median(
                c / max(a - b, 1e-9) for a, b, c in zip(whole, without, sets, strict=True)
            )
            same_found[name] = _same_found(work / "mix", runs[KINDS[3]][-1].output)
    libraries = {name: version(name) for name in ("datasets", "numpy", "pyarrow")}
    return DataReport(
        timings=tuple(timings),
        mix_ratios=mix_ratios,
        decontamination_ratios=decontamination_ratios,
        planted_found=planted_found,
        more_found=more_found,
        same_found=same_found,
        workers=workers,
        rounds=rounds,
        hardware=processor_name(),
        cpus=os.cpu_count() or 1,
        versions=libraries | {"python": platform.python_version()},
    )


def build_command(mirror: Path, out: Path, workers: int, size: int, *, gate: bool) -> list[str]:
    """The command that builds a mix of a mirror."""
    command = [sys.executable, "-m", "cme", "build-data", "--source", str(mirror), "--out", str(out)]
    return [
        *command,
        "--size",
        str(size),
        "--workers",
        str(workers),
        "--decontamination" if gate else "--no-decontamination",
    ]


def _run(kind: str, mirror: Path, work: Path, workers: int, size: int) -> Usage:
    """Run one kind; what it wrote is removed, but for the mix that was built with decontamination."""
    out = work / ("mix" if kind == KINDS[2] else "other")
    if out.exists():
        shutil.rmtree(out)
    plain = [sys.executable, "-m", "benchmarks.mix.plain_mix", str(mirror), str(out), str(workers), str(size)]
    gate = [sys.executable, "-m", "benchmarks.mix.plain_decontamination", str(mirror), str(workers)]
    command = {
        KINDS[0]: build_command(mirror, out, workers, size, gate=False),
        KINDS[1]: plain,
        KINDS[2]: build_command(mirror, out, workers, size, gate=True),
        KINDS[3]: gate,
    }[kind]
    usage = measure(command, {"HF_DATASETS_OFFLINE": "1"})
    if kind != KINDS[2]:
        shutil.rmtree(out, ignore_errors=True)
    return replace(usage, seconds=json.loads(usage.output)["seconds"]) if kind == KINDS[3] else usage


def _timing(share: float, kind: str, rows: int, usages: Sequence[Usage]) -> Timing:
    return Timing(
        share,
        kind,
        rows,
        statistics.median(usage.seconds for usage in usages),
        max(usage.peak for usage in usages),
        max(usage.own for usage in usages),
    )


def _found(mix: Path, share: float) -> tuple[bool, int]:
    """Whether the manifest counts all duplicates and leaks that were planted, and how many leaks it counts besides."""
    known, found = planted(share), read_json(mix / "manifest.json")["datasets"]
    leaks = Counter[tuple[str, str]]()
    for (train, evaluation, _), count in known.leaks.items():
        leaks[train, evaluation] += count
    counted = {(train, other): count for train, item in found.items() for other, count in item["leaks"].items()}
    every = all(counted.get(pair, 0) >= count for pair, count in leaks.items())
    every &= {name: item["duplicates"] for name, item in found.items()} == known.duplicates
    return every, sum(counted.values()) - leaks.total()


def _same_found(mix: Path, output: str) -> bool:
    """Whether CME's decontamination and the one over Python sets found as many rows, pair by pair and rule by rule.

    Rows that CME counts but keeps (premises that a dataset's own splits share) are not among the other's.
    """
    overlap = read_json(mix / "overlap.json")
    counted = {
        (train, evaluation, rule): count
        for train, others in overlap.items()
        for evaluation, rules in others.items()
        for rule, count in rules.items()
        if not rule.endswith(" (kept)")
    }
    return counted == {(*key,): count for *key, count in json.loads(output)["overlap"]}


def _name(share: float) -> str:
    return f"share-{share:g}"
