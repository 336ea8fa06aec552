"""Every number of every entry, computed again from the per-sample scores: what a reviewer and CI run on a row."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from cme.errors import CMEError, UsageError
from cme.leaderboard.board import check_comparable, entry_files, is_stale_entry, load_entry, samples_path
from cme.leaderboard.combine import mean_scores
from cme.leaderboard.evidence import RATIOS
from cme.leaderboard.panel import columns_of
from cme.leaderboard.reading import check_samples
from cme.leaderboard.recompute import check_hash, check_scores, different, items_digest
from cme.leaderboard.wordings import check_wordings, sample_files
from cme.records import Entry, EntryRun
from cme.records.samples import read_samples
from cme.suite.score import Sample

__all__ = ["Verdict", "audit", "verify"]

_COUNTS = ("trainable_parameters", "saved_parameters", "base_parameters", "peak_memory_bytes", "steps", "tokens")
_AMOUNTS = ("trainable_share", "wall_seconds", "tokens_per_second")
_SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """What was found of one entry.

    Attributes:
        name: of the entry, or of the file that is none; ``*``: of all of them.
        ok: whether everything follows from the per-sample scores.
        said: what was checked, or what is wrong.
    """

    name: str
    ok: bool
    said: str


def verify(entries_dir: Path) -> list[str]:
    """Check a board.

    Args:
        entries_dir: folder with the entries; the samples lie in ``samples`` beside it.

    Returns:
        One line per entry that says what was checked.

    Raises:
        CMEError: what `audit` finds wrong, in one message.
    """
    verdicts = audit(entries_dir)
    if wrong := [verdict for verdict in verdicts if not verdict.ok]:
        raise CMEError("\n".join(verdict.said for verdict in wrong))
    return [f"{verdict.name}: {verdict.said}" for verdict in verdicts]


def audit(entries_dir: Path) -> list[Verdict]:
    """Check every entry of a board, and that the samples beside it are those of its entries and nothing else.

    Each run's scores are computed again from its file of samples, the row's from its runs; nothing may differ by more than
    `cme.leaderboard.recompute.TOLERANCE`. An entry scored by an older version of the rules keeps its numbers: only its
    files are checked.

    Args:
        entries_dir: folder with the entries; the samples lie in ``samples`` beside it.

    Returns:
        One verdict per file; after them one named ``*``, if the entries cannot stand in one table.

    Raises:
        CMEError: the folder is missing.
    """
    verdicts, entries = [], []
    for path in entry_files(entries_dir):
        try:
            entry = load_entry(path)
            verdicts.append(Verdict(entry.name, True, _checked(entry, entries_dir)))
            entries.append(entry)
        except CMEError as error:
            verdicts.append(Verdict(ascii(path.stem)[1:-1], False, " ".join(str(error).split())))
    known = {path.name for entry in entries for path in sample_files(entry, entries_dir)}
    folder = samples_path(entries_dir, "x").parent
    if all(verdict.ok for verdict in verdicts) and folder.is_dir():
        verdicts += [
            Verdict(ascii(path.name)[1:-1], False, f"{ascii(str(path))[1:-1]} belongs to no entry. Remove it.")
            for path in sorted(folder.iterdir())
            if path.name not in known and not path.name.startswith(".")
        ]
    try:
        check_comparable(entries)
    except UsageError as error:
        verdicts.append(Verdict("*", False, str(error)))
    return verdicts


def _checked(entry: Entry, entries_dir: Path) -> str:
    """What was checked.

    Raises:
        CMEError: something is wrong.
    """
    where = f"entry {entry.name!r}"
    files = [samples_path(entries_dir, entry.name, k) for k in range(len(entry.runs))]
    for file, run in zip(files, entry.runs, strict=True):
        check_hash(file, run.samples_sha256, where)
        check_samples(file)
    _raise(where, [*_costs(entry), *_ratios(entry), *_grid(entry)])
    if is_stale_entry(entry):
        return f"scorer version {entry.scorer_version}, stale; its samples are unchanged"
    samples: list[list[Sample]] = [list(read_samples(file)) for file in files]
    for k, (run, of_run) in enumerate(zip(entry.runs, samples, strict=True)):
        label = f"{where}, {_called(k, run)}"
        check_scores(run.scores, of_run, tier=entry.tier, where=label)
        if items_digest(of_run) != entry.items:
            raise CMEError(f"{label}: its samples are not the items of the entry. Submit its results again.")
    scores, seed_stderr = mean_scores(
        [run.scores for run in entry.runs], [columns_of(of_run) for of_run in samples], tier=entry.tier
    )
    found = different(dataclasses.asdict(entry.scores), dataclasses.asdict(scores), "scores")
    _raise(where, [*found, *different(entry.seed_stderr, seed_stderr, "seed_stderr")])
    check_wordings(entry, entries_dir)
    count = f"{len(samples)} runs, " if len(samples) > 1 else ""
    count += f"{len(scores.datasets)} datasets, {sum(map(len, samples))} samples"
    return f"{count}, average {scores.average:.2f} recomputed"


def _raise(where: str, problems: Sequence[str]) -> None:
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CMEError(f"{where}: {'; '.join(problems[:_SHOWN])}{more}. Submit its results again.")


def _called(k: int, run: EntryRun) -> str:
    return f"run {k}" if run.seed is None else f"seed {run.seed}"


def _costs(entry: Entry) -> Iterator[str]:
    """What no training can have cost."""
    for k, run in enumerate(entry.runs):
        where, cost = _called(k, run), run.cost
        if (run.seed is None) != (not cost):
            yield f"{where}: a trained run has costs, and any other has none"
        for name in (*_COUNTS, *_AMOUNTS):
            value = cost.get(name)
            if value is not None and not (_is_number(value) and value >= 0):
                yield f"{where}: {name} is {value!r}"
            elif name in _COUNTS and isinstance(value, float):
                yield f"{where}: {name} is {value!r}; expected a whole number"
        yield from (f"{where}: {line}" for line in _quotients(cost))


def _quotients(cost: Mapping[str, Any]) -> Iterator[str]:
    """What does not follow from the counts that it is made of, where all are known."""
    for name, above, below, factor in (
        ("trainable_share", "trainable_parameters", "base_parameters", 100),
        ("tokens_per_second", "tokens", "wall_seconds", 1),
    ):
        found, numerator, denominator = (cost.get(key) for key in (name, above, below))
        if not (_is_number(found) and _is_number(numerator) and _is_number(denominator) and denominator):
            continue
        expected = factor * numerator / denominator
        if not math.isclose(found, expected, rel_tol=1e-9):
            yield f"{name} is {found:.12g}, but {above} and {below} give {expected:.12g}"


def _ratios(entry: Entry) -> Iterator[str]:
    for name in RATIOS:
        if (ratio := entry.cost_ratios.get(name)) is None:
            continue
        if not isinstance(ratio, dict) or set(ratio) != {"value", "low", "high"}:
            yield f"cost_ratios.{name} is {ratio!r}; expected value, low and high"
            continue
        bounds = [ratio[key] for key in ("low", "value", "high") if ratio[key] is not None or key == "value"]
        if not all(_is_number(bound) and bound > 0 for bound in bounds) or bounds != sorted(bounds):
            yield f"cost_ratios.{name} is {ratio!r}; expected low ≤ value ≤ high, all above 0"


def _grid(entry: Entry) -> Iterator[str]:
    """Whether the grid's rate is the one with the lowest loss, and the row's."""
    if (grid := entry.lr_grid) is None:
        return
    try:
        rates = [float(run["learning_rate"]) for run in grid["runs"]]
        losses = {
            float(run["learning_rate"]): float(run["validation_loss"]) for run in grid["runs"] if run["validation_loss"]
        }
        best = min(losses, key=lambda rate: losses[rate])
        if grid["method"] != entry.method or float(grid["learning_rate"]) != best:
            yield f"lr_grid is of {grid['method']!r} and chose {grid['learning_rate']!r}; the lowest loss is at {best:g}"
        if entry.recipe.get("learning_rate") != best:
            yield f"the learning rate is {entry.recipe.get('learning_rate')!r}, and the grid's is {best:g}"
        if rates != sorted(rates) or grid["at_edge"] != (best in (rates[0], rates[-1])):
            yield "lr_grid: at_edge is not what its rates say"
    except (KeyError, TypeError, ValueError, IndexError) as error:
        yield f"lr_grid is no grid ({type(error).__name__}: {error})"


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
