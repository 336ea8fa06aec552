"""What an entry says beside its samples – recipe, costs, grid, provenance: it must be possible and agree with itself."""

import json
import math
import re
from collections.abc import Iterator

from cme.leaderboard.entries.measurements import RATIOS
from cme.records import Cost, DatasetScore, Entry, EntryRun, Ratio, Scores
from cme.records.method import method_label
from cme.suite.score import SCORER_VERSION
from cme.suite.tiers import TIERS

__all__ = ["called", "claims"]

_SHARED = ("trainable_parameters", "base_parameters", "trainable_share", "steps")
_MAY_LACK = "saved_parameters"
"""Run records of before it was counted say that it is not known."""

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
    free = {name: value.plain() if value else None for name, value in free.items()}
    if any(run.seed is None for run in entry.runs):
        if given := [name for name, value in free.items() if value]:
            yield f"it is not trained, and has {', '.join(given)}"
        return
    made = method_label(str(entry.settings.method), entry.settings.options)
    if made != entry.method:
        yield f"the method is {entry.method!a}, and that of its settings {made[:100]!a}"
    if not entry.recipe:
        yield "it was trained, and has no recipe"
    if (size := len(json.dumps(free, ensure_ascii=False))) > _MAX_FREE:
        yield f"recipe, settings, grid and measured costs have {size:,} characters; {_MAX_FREE:,} are allowed"


def _over_runs(entry: Entry) -> Iterator[str]:
    """What the trainings of one row share, and what they cannot."""
    for name in _SHARED:
        if len({getattr(run.cost, name) for run in entry.runs}) > 1:
            yield f"{name} is not the same in all runs"
    if len({run.provenance.adapter.fingerprint for run in entry.runs}) < len(entry.runs) > 1:
        yield "two of its runs have the same adapter"


def _costs(run: EntryRun) -> Iterator[str]:
    """What no training can have cost."""
    if (run.seed is None) != (not run.cost):
        yield "a trained run has costs, and any other has none"
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
    """What does not follow from the counts that it is made of."""
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
    """Whether a trained run names its adapter."""
    if run.seed is None:
        return
    fingerprint = run.provenance.adapter.fingerprint
    if "adapter" not in run.provenance.model_fields_set:
        yield "provenance.adapter is missing"
    elif fingerprint is None or not _DIGEST.fullmatch(fingerprint):
        yield "provenance.adapter.fingerprint is no SHA-256"


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
    numbers = [item.value, item.chance, *item.metrics.values(), *item.subsets.values()]
    if not all(-_ROUNDING <= value <= 1 + _ROUNDING for value in numbers):
        return "a score is no number from 0 to 1"
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
    """Whether the grid's rate is the one with the lowest loss, and the row's."""
    if (grid := entry.lr_grid) is None:
        return
    rates = [run.learning_rate for run in grid.runs]
    losses = {run.learning_rate: run.validation_loss for run in grid.runs if run.validation_loss is not None}
    if not losses:
        yield "lr_grid has no rate with a validation loss"
        return
    best = min(losses, key=lambda rate: losses[rate])
    if grid.method != entry.method or grid.learning_rate != best:
        yield f"lr_grid is of {grid.method!a} and chose {grid.learning_rate}; the lowest loss is at {best:g}"
    if entry.recipe.learning_rate != best:
        yield f"the learning rate is {entry.recipe.learning_rate}, and the grid's is {best:g}"
    if rates != sorted(rates) or grid.at_edge != (best in (rates[0], rates[-1])):
        yield "lr_grid: at_edge is not what its rates say"
