"""Reading what is compared: results and entries, alone or several runs of one method together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cme.errors import UsageError
from cme.leaderboard.entries.agreement import pins
from cme.leaderboard.entries.board import load_entry
from cme.leaderboard.entries.differences import lacking, split
from cme.leaderboard.ranking.aligned_scores import aligned, in_tier_order
from cme.leaderboard.ranking.compared_runs import Run, run_of, runs_of
from cme.records import Result, read_record
from cme.suite.prices import row_tokens

__all__ = ["Run", "Side", "check_sides", "is_stored", "read_sides"]

RESULT = "result.json"


@dataclass(frozen=True)
class Side:
    """What is compared under one name: a model, or a method with one run per training seed.

    Attributes:
        name: name in tables.
        runs: the runs.
        trained: whether it was trained; a base or a baseline was not.
        tier: tier of the runs.
        source: source of the samples.
        assumed: whether it only counts as trained, because nothing tells whether it was.
    """

    name: str
    runs: tuple[Run, ...]
    trained: bool
    tier: str
    source: str
    assumed: bool = False

    def tokens_per_sample(self) -> dict[str, float]:
        """Return the mean tokens of a sample of each dataset: recorded by the runs, or else from the table of prices."""
        counts = {name: len(ids) for name, (ids, _, _) in self.runs[0].columns.items()}
        means = {}
        for name, count in counts.items():
            recorded = [run.tokens[name] / count for run in self.runs if run.tokens.get(name)]
            means[name] = sum(recorded) / len(recorded) if recorded else row_tokens(name)
        return means


def is_stored(path: Path) -> bool:
    """Return whether a path holds a result or an entry, and not a model that must be evaluated first."""
    return path.suffix == ".json" or (path / RESULT).exists()


def read_sides(given: Mapping[str, Sequence[Path]]) -> list[Side]:
    """Read results and entries.

    Args:
        given: for each side, its results (folders or ``result.json``) and entries (``entries/<name>.json``). A key that starts
            with ``=`` is the path of a side without a name of its own; such a side has the name of its result or entry.

    Returns:
        The sides. The samples of all runs are in the same order, which is tier order.

    Raises:
        CMEError: a file is missing, damaged or changed, or clusters differ.
        UsageError: the sides cannot be compared (`check_sides`), or what has one name is not one method.
    """
    sides = [_read_side(key, paths) for key, paths in given.items()]
    names = [side.name for side in sides]
    # Results of different folders may have the same name. Their folders differ.
    sides = [
        side if names.count(side.name) == 1 or not key.startswith("=") else replace(side, name=key[1:])
        for side, key in zip(sides, given, strict=True)
    ]
    if twice := [side.name for k, side in enumerate(sides) if side.name in {other.name for other in sides[:k]}]:
        raise UsageError(f"two sides have the name {twice[0]!r}. Give each its own name, such as {twice[0]}-2=PATH.")
    check_sides(sides)
    sides = _with_trainings(sides)
    first = sides[0].runs[0]
    order = in_tier_order(first.columns, first.file)
    return [
        replace(side, runs=tuple(replace(run, columns=aligned(run.label, run.columns, order)) for run in side.runs))
        for side in sides
    ]


def check_sides(sides: Sequence[Side]) -> None:
    """Check that all runs were evaluated on the same samples with the same prompts and scorer.

    The base and its tokenizer may differ. So may device, data type and engine of different sides, of which a note tells, as on a
    board. A base without training may have its own number of shots, and a baseline has no prompts.

    Raises:
        UsageError: they differ, two runs are the same result, or the samples are too few. The message lists all differences.
    """
    runs = [run for side in sides for run in side.runs]
    for k, run in enumerate(runs):
        for other in runs[:k]:
            if other.samples_sha256 == run.samples_sha256:
                raise UsageError(
                    f"{other.label} and {run.label} are identical: their scores agree in every digit. Give results of different "
                    "models."
                )
    problems = _split_all({run.label: run.shared for run in runs})
    problems += lacking("datasets", {run.label: list(run.columns) for run in runs})
    for name in sorted({name for run in runs for name in run.tasks}):
        problems += split(
            f"task file of {name}", {run.label: run.tasks[name][:12] for run in runs if name in run.tasks}
        )
    problems += pins({run.label: run.data for run in runs})
    if not problems:
        for name in runs[0].columns:
            problems += split(f"samples of {name}", {run.label: _described(run, name, runs[0]) for run in runs})
    if problems:
        raise UsageError(
            f"these results cannot be compared, because they differ in {'; in '.join(problems)}. Evaluate all of them on the "
            "same samples, with the same tier, prompts and version of CME."
        )
    if any(side.tier == "smoke" for side in sides):
        raise UsageError("tier smoke has too few samples for a comparison. Evaluate at tier quick or above.")


def _described(run: Run, dataset: str, first: Run) -> str:
    """Describe the samples of a dataset by their number, and whether they are those of the first run."""
    ids, others = run.columns[dataset][0], first.columns[dataset][0]
    same = len(ids) == len(others) and (ids == others or set(ids) == set(others))
    return f"{len(ids)}" if same else f"{len(ids)} {'others' if len(ids) == len(others) else 'samples'}"


def _read_side(key: str, paths: Sequence[Path]) -> Side:
    runs: list[Run] = []
    names, kinds = [], []
    for path in paths:
        if path.suffix == ".json" and path.name != RESULT:
            entry = load_entry(path)
            runs += runs_of(entry, path.parent)
            names.append(entry.name)
            kinds.append((entry.tier, entry.source))
        else:
            folder = path.parent if path.name == RESULT else path
            result = read_record(folder / RESULT, Result)
            runs.append(run_of(result, folder))
            names.append(result.name)
            kinds.append((result.tier, result.source))
    name = names[0] if key.startswith("=") else key
    _check_one_method(name, runs)
    tier, source = sorted(kinds)[0]
    return Side(name, tuple(runs), runs[0].trained is not False, tier, source)


def _split_all(values: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Describe every value in which runs differ, from the values that each run has by name."""
    problems: list[str] = []
    for what in dict.fromkeys(name for of_run in values.values() for name in of_run):
        problems += split(what, {label: of_run[what] for label, of_run in values.items() if what in of_run})
    return problems


def _check_one_method(name: str, runs: Sequence[Run]) -> None:
    """Check that the runs of a side may be the seeds of one method: other trainings of the same kind, evaluated alike."""
    if len(runs) > 1 and all(run.trained is False for run in runs):
        raise UsageError(
            f"{name} has several models without training, which are no seeds of one method. Give each its own name."
        )
    if len(runs) > 1 and any(run.trained is False for run in runs):
        raise UsageError(f"{name} consists of trained and untrained models. Give each method its own name.")
    seeds = [run.seed for run in runs if run.seed is not None]
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise UsageError(f"{name} has two runs with seed {twice[0]}. Give one run per seed.")
    made: dict[str, Run] = {}
    for run in runs:
        if run.model and (other := made.setdefault(run.model, run)) is not run:
            raise UsageError(
                f"{name} has the model {run.model[:12]} twice ({other.label}, {run.label}). Several results of one name are the "
                "seeds of a method, so give one result per training."
            )
    problems = _split_all({run.label: run.method for run in runs})
    known = {run.label: run.settings for run in runs if run.settings is not None}
    for what in dict.fromkeys(key for settings in known.values() for key in settings):
        problems += split(what, {label: settings.get(what, "none") for label, settings in known.items()})
    if problems:
        raise UsageError(
            f"the results of {name} are not seeds of one method, because they differ in {'; in '.join(problems)}. Give each "
            "method its own name."
        )


def _with_trainings(sides: Sequence[Side]) -> list[Side]:
    """Decide which sides are trained, where a model's own result does not tell.

    A model is a base if another side was trained on it. Several such models are seeds. A single one beside something that was
    trained counts as trained, which counts the variance between seeds for it.
    """
    bases = {run.base for side in sides for run in side.runs if run.base}
    some = any(run.trained for side in sides for run in side.runs) or any(len(side.runs) > 1 for side in sides)
    decided = []
    for side in sides:
        of_bases = [run for run in side.runs if run.trained is None and run.model in bases]
        if of_bases and len(side.runs) > 1:
            raise UsageError(
                f"{side.name} consists of trained and untrained models: {of_bases[0].label} is the base of other results. Give "
                "each method its own name."
            )
        if all(run.trained is not None for run in side.runs):
            decided.append(side)
        elif len(side.runs) > 1:
            decided.append(replace(side, trained=True))
        else:
            trained = some and not of_bases
            decided.append(replace(side, trained=trained, assumed=trained))
    return decided
