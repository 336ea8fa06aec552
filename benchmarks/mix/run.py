"""Measurement of ``cme build-data`` on a generated mirror, alone or compared with simple pipelines for the same task."""

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
"""Kinds of runs, in this order. The second and the fourth are run in comparisons only."""


@dataclass(frozen=True)
class Timing:
    """The costs of one kind of run at one size.

    Attributes:
        share: Share of the full size.
        kind: One of `KINDS`.
        rows: Number of training rows of the mirror.
        seconds: Wall time of the command in seconds, median over the rounds. For the decontamination over Python sets, it is the
            time to index evaluation items and look up rows, without reading, normalisation and key texts, which
            ``build-data --no-decontamination`` also needs.
        peak: Peak memory in bytes (see `benchmarks.mix.usage.Usage`).
        own: Peak memory without mapped files, in bytes.
    """

    share: float
    kind: str
    rows: int
    seconds: float
    peak: int
    own: int


@dataclass(frozen=True)
class DataReport:
    """A complete measurement.

    Attributes:
        timings: Costs by share and kind.
        mix_ratios: By share, the time of the `datasets` pipeline divided by the time of ``build-data --no-decontamination``,
            median over the rounds.
        decontamination_ratios: By share, the time of the decontamination over Python sets divided by the difference in time
            between ``build-data`` and ``build-data --no-decontamination``, median over the rounds.
        planted_found: By share, whether the manifest of the mix counts all planted duplicates and leaks.
        more_found: By share, the number of further rows that decontamination detected. Some random texts match by chance.
        same_found: By share, whether both decontaminations detected the same numbers of rows for every pair of datasets and every
            rule.
        workers: Number of processes.
        rounds: Number of runs of every kind.
        hardware: Name of the processor.
        cpus: Number of CPUs.
        versions: Versions of Python and of the libraries.
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
        """Return the report as plain JSON values."""
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
    """Write missing mirrors, which is not timed, and measure building mixes of them.

    Args:
        shares: Shares of the full size, from 0.005 to 1.
        mirrors: Folder of the mirrors, which are kept and reused. Each has a subfolder ``share-…``.
        out: Folder for the mixes. For every share, the last mix with decontamination is kept.
        workers: Number of processes of every run.
        rounds: Number of runs of every kind.
        compare: Whether to run the simple pipelines, too.
        say: A function that is called with progress messages.

    Raises:
        UsageError: A share is out of range, or ``out`` contains results of these shares.
        CMEError: A run failed.
    """
    for share in shares:
        mirror_files(share)
        if (out / _name(share)).exists():
            raise UsageError(f"{out / _name(share)} already exists. Give another --out, or remove it.")
    timings: list[Timing] = []
    mix_ratios, decontamination_ratios = dict[str, float](), dict[str, float]()
    planted_found, more_found, same_found = dict[str, bool](), dict[str, int](), dict[str, bool]()
    for share in shares:
        name, mirror, work = _name(share), mirrors / _name(share), out / _name(share)
        say(f"{name}: writing the mirror")
        write_mirror(mirror, share, workers=workers)
        runs: dict[str, list[Usage]] = {kind: [] for kind in (KINDS if compare else KINDS[::2])}
        for number in range(rounds):
            for kind, usages in runs.items():
                say(f"{name}: {kind}, round {number + 1} of {rounds}")
                usages.append(_run(kind, mirror, work, workers, round(FULL_SIZE * share)))
        rows = sum(file.rows for file in mirror_files(share).values() if file.own)
        timings += [_timing(share, kind, rows, usages) for kind, usages in runs.items()]
        planted_found[name], more_found[name] = _detected(work / "mix", share)
        if compare:
            without, plain, whole, sets = ([usage.seconds for usage in runs[kind]] for kind in KINDS)
            mix_ratios[name] = statistics.median(a / b for a, b in zip(plain, without, strict=True))
            decontamination_ratios[name] = statistics.median(
                c / max(a - b, 1e-9) for a, b, c in zip(whole, without, sets, strict=True)
            )
            same_found[name] = _same_detected(work / "mix", runs[KINDS[3]][-1].output)
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


def build_command(mirror: Path, out: Path, workers: int, size: int, *, decontaminate: bool) -> list[str]:
    """Return the command that builds a mix of a mirror."""
    command = [sys.executable, "-m", "cme", "build-data", "--source", str(mirror), "--out", str(out)]
    return [
        *command,
        "--size",
        str(size),
        "--workers",
        str(workers),
        "--decontamination" if decontaminate else "--no-decontamination",
    ]


def _run(kind: str, mirror: Path, work: Path, workers: int, size: int) -> Usage:
    """Run one kind and remove its output, except for the mix with decontamination."""
    out = work / ("mix" if kind == KINDS[2] else "other")
    if out.exists():
        shutil.rmtree(out)
    plain = [sys.executable, "-m", "benchmarks.mix.plain_mix", str(mirror), str(out), str(workers), str(size)]
    sets = [sys.executable, "-m", "benchmarks.mix.plain_decontamination", str(mirror), str(workers)]
    command = {
        KINDS[0]: build_command(mirror, out, workers, size, decontaminate=False),
        KINDS[1]: plain,
        KINDS[2]: build_command(mirror, out, workers, size, decontaminate=True),
        KINDS[3]: sets,
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


def _detected(mix: Path, share: float) -> tuple[bool, int]:
    """Return whether the manifest counts all planted duplicates and leaks, and how many further leaks it counts."""
    known, manifest = planted(share), read_json(mix / "manifest.json")["datasets"]
    leaks = Counter[tuple[str, str]]()
    for (train, evaluation, _), count in known.leaks.items():
        leaks[train, evaluation] += count
    counted = {(train, other): count for train, item in manifest.items() for other, count in item["leaks"].items()}
    every = all(counted.get(pair, 0) >= count for pair, count in leaks.items())
    every &= {name: item["duplicates"] for name, item in manifest.items()} == known.duplicates
    return every, sum(counted.values()) - leaks.total()


def _same_detected(mix: Path, output: str) -> bool:
    """Return whether both decontaminations detected the same numbers of rows for every pair of datasets and every rule.

    Rows that CME counts but keeps, whose premises occur in several splits of a dataset, are not compared.
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
