"""Checks of what an entry states besides its samples: recipe, costs, grid and provenance must be possible and consistent."""

import json
import math
import re
from collections.abc import Iterator

from cme.leaderboard.entries.chosen_rows import impossible_rows
from cme.leaderboard.entries.expert_claims import expert_problems
from cme.leaderboard.entries.measurements import RATIOS
from cme.leaderboard.entries.retention import retention_problems
from cme.leaderboard.entries.router_claims import router_problems
from cme.records import ChosenGrid, Cost, DatasetScore, Entry, EntryRun, GridRun, Ratio, Scores
from cme.records.method import method_label
from cme.suite.score import SCORER_VERSION
from cme.suite.tiers import TIERS

__all__ = ["called", "claims"]

_SHARED = ("trainable_parameters", "base_parameters", "trainable_share", "steps")
_MAY_LACK = "saved_parameters"
"""May be None: older run records do not contain this count."""

_DIGEST = re.compile(r"[0-9a-f]{64}")

_MAX_FREE = 32 * 1024
"""Maximum number of characters of recipe, settings, grid and measured costs as JSON, because the page shows them."""

_ROUNDING = 1e-6


def called(k: int, run: EntryRun) -> str:
    """Return the name of a run in messages."""
    return f"run {k}" if run.seed is None else f"seed {run.seed}"


def claims(entry: Entry) -> Iterator[str]:
    """List the values that no evaluation and no training can have produced, one phrase for each.

    Args:
        entry: An entry with at least one run.
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
    yield from retention_problems(entry)
    yield from expert_problems(entry)
    yield from router_problems(entry)
    yield from impossible_rows(entry)
    if lacking := [item.dataset for item in entry.scores.datasets if item.dataset not in entry.task_fingerprints]:
        yield f"task_fingerprints lacks {', '.join(map(ascii, lacking[:5]))}"


def _recipe(entry: Entry) -> Iterator[str]:
    """Check that the settings match the method's name, so that the row can be trained again."""
    free = {name: getattr(entry, name) for name in ("recipe", "settings", "lr_grid", "cost_ratios")}
    free = {name: value.plain() if value else None for name, value in free.items()}
    if any(run.seed is None for run in entry.runs):
        if given := [name for name, value in free.items() if value]:
            yield f"it is not trained, so it cannot have {', '.join(given)}"
        return
    made = method_label(str(entry.settings.method), entry.settings.options)
    if made != entry.method:
        yield f"the method is {entry.method!a}, but its settings are of the method {made[:100]!a}"
    if not entry.recipe:
        yield "it was trained, but has no recipe"
    if (size := len(json.dumps(free, ensure_ascii=False))) > _MAX_FREE:
        yield f"recipe, settings, grid and measured costs have {size:,} characters, but at most {_MAX_FREE:,} are allowed"


def _over_runs(entry: Entry) -> Iterator[str]:
    """Check the values that the runs of one row must share, and those that they must not share."""
    for name in _SHARED:
        if len({getattr(run.cost, name) for run in entry.runs}) > 1:
            yield f"{name} is not the same in all runs"
    if len({run.provenance.adapter.fingerprint for run in entry.runs}) < len(entry.runs) > 1:
        yield "two of its runs have the same adapter"


def _costs(run: EntryRun) -> Iterator[str]:
    """Check that the costs of a run are present and possible."""
    if (run.seed is None) != (not run.cost):
        yield "a trained run must have costs, and any other run must have none"
        return
    if not run.cost:
        return
    given = run.cost.plain()
    if lacking := [
        name for name in Cost.model_fields if name not in given or (given[name] is None and name != _MAY_LACK)
    ]:
        yield f"its cost lacks {', '.join(lacking)}"
    yield from _quotients(run.cost)


def _quotients(cost: Cost) -> Iterator[str]:
    """Check the quotients against the counts from which they are computed."""
    for name, above, below, factor in (
        ("trainable_share", "trainable_parameters", "base_parameters", 100),
        ("tokens_per_second", "tokens", "wall_seconds", 1),
    ):
        stated, numerator, denominator = (getattr(cost, key) for key in (name, above, below))
        if stated is None or numerator is None or not denominator:
            continue
        computed = factor * numerator / denominator
        if not math.isclose(stated, computed, rel_tol=1e-9):
            yield f"{name} is {stated:.12g}, but {above} and {below} give {computed:.12g}"


def _provenance(run: EntryRun) -> Iterator[str]:
    """Check that a trained run names its adapter."""
    if run.seed is None:
        return
    fingerprint = run.provenance.adapter.fingerprint
    if "adapter" not in run.provenance.model_fields_set:
        yield "provenance.adapter is missing"
    elif fingerprint is None or not _DIGEST.fullmatch(fingerprint):
        yield "provenance.adapter.fingerprint is not a SHA-256 digest"


def _scores(scores: Scores, entry: Entry) -> Iterator[str]:
    """Check ranges; for a stale entry, whose scores are not recomputed, also that each mean lies between its values."""
    rows = TIERS.get(entry.tier)
    for item in scores.datasets:
        if problem := _dataset(item, rows):
            yield f"{item.dataset[:100]!a}: {problem}"
    for family in scores.families if entry.scorer_version < SCORER_VERSION else ():
        members = [100 * item.value for item in scores.datasets if item.family == family.family]
        if not _among(family.value, members):
            yield f"{family.family[:100]!a} is {family.value:.12g}, which is not between the scores of its datasets"
    families = [family.value for family in scores.families]
    if entry.scorer_version < SCORER_VERSION and not _among(scores.average, families):
        yield f"the average is {scores.average:.12g}, which is not between the scores of its families"
    errors = [scores.average_stderr, *(item.stderr for item in scores.families)]
    errors += [item.stderr for item in scores.datasets]
    if any(error is not None and error < 0 for error in errors):
        yield "a standard error is negative"


def _dataset(item: DatasetScore, rows: int | None) -> str | None:
    if not 1 <= item.clusters <= item.n or (rows is not None and item.n > rows):
        return f"it has {item.n} samples in {item.clusters} clusters, but the tier has {rows or 'all'} samples"
    numbers = [item.value, item.chance, *item.metrics.values(), *item.subsets.values()]
    if not all(-_ROUNDING <= value <= 1 + _ROUNDING for value in numbers):
        return "a score is not a number from 0 to 1"
    return None


def _among(value: float, members: list[float]) -> bool:
    return bool(members) and min(members) - _ROUNDING <= value <= max(members) + _ROUNDING


def _ratios(entry: Entry) -> Iterator[str]:
    for name in RATIOS:
        ratio: Ratio | None = getattr(entry.cost_ratios, name)
        if ratio is None:
            continue
        bounds = [bound for bound in (ratio.low, ratio.value, ratio.high) if bound is not None]
        if bounds != sorted(bounds):
            yield f"cost_ratios.{name} is {ratio.plain()}; expected low ≤ value ≤ high"


def _grid(entry: Entry) -> Iterator[str]:
    """Check that the grid chose the run with the lowest loss, and that the row was trained with its rate and settings."""
    if (grid := entry.lr_grid) is None:
        return
    trained = [run for run in grid.runs if run.validation_loss is not None]
    if not trained:
        yield "lr_grid has no learning rate with a validation loss"
        return
    lowest = min(trained, key=lambda run: run.validation_loss or 0.0)
    best, rates = lowest.learning_rate, grid.rates_beside(lowest)
    yield from _tuned(entry, grid, lowest)
    if grid.method != entry.method or grid.learning_rate != best:
        yield f"lr_grid is of the method {grid.method!a} and chose {grid.learning_rate}, but the lowest loss is at {best:g}"
    if entry.recipe.learning_rate != best:
        yield f"the learning rate is {entry.recipe.learning_rate}, but the grid chose {best:g}"
    if rates != sorted(rates) or grid.at_edge != (best in (rates[0], rates[-1])):
        yield "lr_grid.at_edge does not follow from the learning rates of the grid"
    mixes = {run.provenance.training.mix_fingerprint or grid.mix_fingerprint or "" for run in entry.runs}
    for differences in (grid.differences(entry.base_fingerprint, mix, entry.settings) for mix in sorted(mixes)):
        if differences:
            yield f"lr_grid has other runs than the row ({', '.join(differences)[:200]!a})"


def _tuned(entry: Entry, grid: ChosenGrid, lowest: GridRun) -> Iterator[str]:
    """Check a grid that chose settings of the adapter, too: all combinations have the same rates, and the best was trained."""
    if not grid.tuned:
        return
    if grid.best != lowest.folder:
        yield f"lr_grid chose {str(grid.best)[:60]!a}, but the lowest loss is in {lowest.folder[:60]!a}"
    keys = {tuple(run.settings or ()) for run in grid.runs}
    cells = {json.dumps(run.settings): grid.rates_beside(run) for run in grid.runs}
    if len(keys) > 1 or len({tuple(rates) for rates in cells.values()}) > 1:
        yield "lr_grid.runs do not have the same settings and learning rates"
    if any(len(set(rates)) < len(rates) for rates in cells.values()):
        yield "lr_grid.runs have a learning rate twice with the same settings"
    settings = entry.settings.plain()
    for key, value in (lowest.settings or {}).items():
        if settings.get(key) != value:
            yield f"{key} is {settings.get(key)!a}, but the lowest loss of the grid is at {value!a}"
