"""What an entry says beside its samples – recipe, costs, grid, provenance: it must be possible and agree with itself."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from cme.leaderboard.entries.costs import part
from cme.leaderboard.entries.measurements import RATIOS
from cme.records import DatasetScore, Entry, EntryRun, Scores
from cme.records.method import method_label
from cme.suite.score import SCORER_VERSION
from cme.suite.tiers import TIERS

__all__ = ["called", "claims"]

_COUNTS = ("trainable_parameters", "saved_parameters", "base_parameters", "peak_memory_bytes", "steps", "tokens")
_AMOUNTS = ("trainable_share", "wall_seconds", "tokens_per_second")
_SHARED = ("trainable_parameters", "base_parameters", "trainable_share", "steps")
_COSTS = frozenset({*_COUNTS, *_AMOUNTS, "device"})
_MEASURED_ON = frozenset({"base", "total_rank", "rounds", "device", "hardware", "threads", "dtype", "command"})
_PROVENANCE = frozenset({"data", "missing", "evaluation", "adapter", "training"})
_DIGEST = re.compile(r"[0-9a-f]{64}")

_MAX_FREE = 32 * 1024
"""Characters of recipe, settings, grid and measured costs as JSON: the page and the tables show them."""

_ROUNDING = 1e-6


def called(k: int, run: EntryRun) -> str:
    """How messages name a run."""
    return f"run {k}" if run.seed is None else f"seed {run.seed}"


def claims(entry: Entry) -> Iterator[str]:
    """What no evaluation and no training can have made, one phrase for each.

    Args:
        entry: with at least one run.
    """
    yield from _recipe(entry)
    for k, run in enumerate(entry.runs):
        yield from (
            f"{called(k, run)}: {line}" for line in (*_costs(run), *_provenance(run), *_scores(run.scores, entry))
        )
    yield from _over_runs(entry)
    yield from _scores(entry.scores, entry)
    yield from _ratios(entry)
    yield from _grid(entry)
    if lacking := [item.dataset for item in entry.scores.datasets if item.dataset not in entry.task_fingerprints]:
        yield f"task_fingerprints lacks {', '.join(map(ascii, lacking[:5]))}"


def _recipe(entry: Entry) -> Iterator[str]:
    """Whether the row can be trained again as what it is called."""
    free = {name: getattr(entry, name) for name in ("recipe", "settings", "lr_grid", "cost_ratios")}
    if any(run.seed is None for run in entry.runs):
        if given := [name for name, value in free.items() if value]:
            yield f"it is not trained, and has {', '.join(given)}"
        return
    made = method_label(str(entry.settings.get("method")), part(entry.settings, "options"))
    if made != entry.method:
        yield f"the method is {entry.method!a}, and that of its settings {made[:100]!a}"
    if not entry.recipe:
        yield "it was trained, and has no recipe"
    for name in ("rank", "experts"):
        value = entry.settings.get(name)
        if value is not None and not (_is_number(value) and isinstance(value, int) and value > 0):
            yield f"settings.{name} is {str(value)[:100]!a}; expected a whole number above 0"
    if (size := len(json.dumps(free, ensure_ascii=False))) > _MAX_FREE:
        yield f"recipe, settings, grid and measured costs have {size:,} characters; {_MAX_FREE:,} are allowed"


def _over_runs(entry: Entry) -> Iterator[str]:
    """What the trainings of one row share, and what they cannot."""
    for name in _SHARED:
        if len({str(run.cost.get(name)) for run in entry.runs}) > 1:
            yield f"{name} is not the same in all runs"
    made = [run.provenance.get("adapter", {}) for run in entry.runs]
    found = [adapter.get("fingerprint") for adapter in made if isinstance(adapter, Mapping)]
    if len(set(map(str, found))) < len(entry.runs) > 1:
        yield "two of its runs have the same adapter"


def _costs(run: EntryRun) -> Iterator[str]:
    """What no training can have cost."""
    cost = run.cost
    if (run.seed is None) != (not cost):
        yield "a trained run has costs, and any other has none"
        return
    if cost and (strange := sorted(_COSTS ^ set(cost))):
        yield f"cost has, or lacks, {', '.join(map(ascii, strange[:5]))}"
    for name in (*_COUNTS, *_AMOUNTS):
        value = cost.get(name)
        if value is None and (name not in cost or name == "saved_parameters"):
            continue
        if not (_is_number(value) and value >= 0):
            yield f"{name} is {str(value)[:100]!a}" if isinstance(value, str) else f"{name} is {str(value)[:100]}"
        elif name in _COUNTS and isinstance(value, float):
            yield f"{name} is {value!r}; expected a whole number"
    if cost and not isinstance(cost.get("device"), str):
        yield "device is no text"
    yield from _quotients(cost)


def _quotients(cost: Mapping[str, Any]) -> Iterator[str]:
    """What does not follow from the counts that it is made of."""
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


def _provenance(run: EntryRun) -> Iterator[str]:
    """Parts that are read elsewhere, and must be of the kind that they are read as."""
    found = run.provenance
    if strange := sorted(set(found) - _PROVENANCE):
        yield f"provenance has {', '.join(map(ascii, strange[:5]))}"
    for name in ("data", "evaluation", "adapter", "training"):
        if not isinstance(found.get(name, {}), Mapping):
            yield f"provenance.{name} is no mapping"
    missing = found.get("missing", [])
    if not (isinstance(missing, list | tuple) and all(isinstance(item, str) for item in missing)):
        yield "provenance.missing is no list of texts"
    for name in ("evaluation", "training"):
        if isinstance(of := found.get(name, {}), Mapping):
            for key in ("threads", "world_size"):
                if (value := of.get(key)) is not None and not (isinstance(value, int) and value > 0):
                    yield f"provenance.{name}.{key} is {str(value)[:100]!a}"
    adapter = found.get("adapter")
    if run.seed is not None and isinstance(adapter, Mapping) and not _DIGEST.fullmatch(str(adapter.get("fingerprint"))):
        yield "provenance.adapter.fingerprint is no SHA-256"
    if run.seed is not None and adapter is None:
        yield "provenance.adapter is missing"


def _scores(scores: Scores, entry: Entry) -> Iterator[str]:
    """Numbers out of their range; of a stale entry, which nothing recomputes, a mean outside of what it is the mean of."""
    rows = TIERS.get(entry.tier)
    for item in scores.datasets:
        if problem := _dataset(item, rows):
            yield f"{item.dataset[:100]!a}: {problem}"
    for family in scores.families if entry.scorer_version < SCORER_VERSION else ():
        members = [100 * item.value for item in scores.datasets if item.family == family.family]
        if not _among(family.value, members):
            yield f"{family.family[:100]!a} is {family.value:.12g}, and its datasets are not around it"
    families = [family.value for family in scores.families]
    if entry.scorer_version < SCORER_VERSION and not _among(scores.average, families):
        yield f"the average is {scores.average:.12g}, and its families are not around it"
    errors = [scores.average_stderr, *(item.stderr for item in scores.families)]
    errors += [item.stderr for item in scores.datasets]
    if any(error is not None and error < 0 for error in errors):
        yield "a standard error is below 0"


def _dataset(item: DatasetScore, rows: int | None) -> str | None:
    if not 1 <= item.clusters <= item.n or (rows is not None and item.n > rows):
        return f"{item.n} samples in {item.clusters} clusters; the tier has {rows or 'all'}"
    numbers = [item.value, item.chance, *item.metrics.values(), *item.parts.values()]
    if not all(_is_number(value) and -_ROUNDING <= value <= 1 + _ROUNDING for value in numbers):
        return "a score is no number from 0 to 1"
    return None


def _among(value: float, members: list[float]) -> bool:
    return bool(members) and min(members) - _ROUNDING <= value <= max(members) + _ROUNDING


def _ratios(entry: Entry) -> Iterator[str]:
    if strange := sorted(set(entry.cost_ratios) - _MEASURED_ON - set(RATIOS)):
        yield f"cost_ratios has {', '.join(map(ascii, strange[:5]))}"
    for name in _MEASURED_ON & set(entry.cost_ratios):
        if not isinstance(entry.cost_ratios[name], str | int):
            yield f"cost_ratios.{name} is no text and no whole number"
    for name in RATIOS:
        if (ratio := entry.cost_ratios.get(name)) is None:
            continue
        if not isinstance(ratio, dict) or set(ratio) != {"value", "low", "high"}:
            yield f"cost_ratios.{name} is {str(ratio)[:100]!a}; expected value, low and high"
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
            yield f"lr_grid is of {grid['method']!a} and chose {grid['learning_rate']!a}; the lowest loss is at {best:g}"
        if entry.recipe.get("learning_rate") != best:
            yield f"the learning rate is {entry.recipe.get('learning_rate')!a}, and the grid's is {best:g}"
        if rates != sorted(rates) or grid["at_edge"] != (best in (rates[0], rates[-1])):
            yield "lr_grid: at_edge is not what its rates say"
    except (KeyError, TypeError, ValueError, IndexError) as error:
        yield f"lr_grid is no grid ({type(error).__name__}: {error})"


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
