"""Results and runs of one row: which belongs to which, and whether they differ in the seed alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import UsageError
from cme.leaderboard.entries.agreement import pins
from cme.leaderboard.entries.differences import lacking, split
from cme.records import Recipe, Result, Run
from cme.records.method import with_gate_sum

__all__ = ["Pair", "check_one_row", "pair", "recipe_of"]


@dataclass(frozen=True)
class Pair:
    """An evaluation, and the training of what it evaluated.

    Attributes:
        folder: of the result.
        result: the evaluation.
        run: the training; None for a base or a baseline.
    """

    folder: Path
    result: Result
    run: Run | None

    @property
    def seed(self) -> int | None:
        """Of the training."""
        return None if self.run is None else self.run.training.seed

    @property
    def base(self) -> tuple[str, str]:
        """The base and its fingerprint. A base that was trained itself goes by what it was before: rows share one base."""
        source = self.run or self.result
        return source.base, source.base_fingerprint


def recipe_of(run: Run) -> Recipe:
    """The training settings that the runs of a row share."""
    return Recipe(**{key: value for key, value in run.training.plain().items() if key in Recipe.model_fields})


def pair(results: Mapping[Path, Result], runs: Mapping[Path, Run]) -> list[Pair]:
    """Find each result's run by the fingerprint of what was trained; ordered by seed.

    Args:
        results: by folder.
        runs: by folder, in any order.

    Raises:
        UsageError: a result lacks its run, a run its result, or two are of the same adapter; all of it in one message.
    """
    problems: list[str] = []
    made: dict[str, Path] = {}
    for folder, run in runs.items():
        if (other := made.setdefault(run.adapter_fingerprint, folder)) != folder:
            problems.append(f"{other} and {folder} made the same adapter: leave one out")
    pairs: list[Pair] = []
    found: dict[str, Path] = {}
    for folder, result in results.items():
        trained = result.adapter.fingerprint if result.adapter else result.base_fingerprint
        home = made.get(trained)
        if home is None and result.adapter is not None:
            problems.append(f"{folder} is an evaluation of the adapter {trained[:12]}: give its training run (--run)")
            continue
        if (other := found.setdefault(trained, folder)) != folder:
            problems.append(f"{other} and {folder} are evaluations of the same model: leave one out")
            continue
        run_of = None if home is None else runs[home]
        if run_of is not None and (problem := _strange(folder, result, home, run_of)):
            problems.append(problem)
        pairs.append(Pair(folder, result, run_of))
    for fingerprint, folder in made.items():
        if fingerprint not in found:
            problems.append(
                f"{folder} did not train what any of the results is of: leave it out, or give its evaluation"
            )
    if problems:
        raise UsageError("these results and runs do not belong together: " + "; ".join(problems) + ".")
    return sorted(pairs, key=lambda item: -1 if item.seed is None else item.seed)


def check_one_row(pairs: Sequence[Pair], items: Sequence[str]) -> None:
    """Check that evaluations and trainings differ in nothing but the seed.

    Args:
        pairs: of the row.
        items: digest of the scored samples of each.

    Raises:
        UsageError: they differ in something else, or the seeds are not different; all of it in one message.
    """
    shown = [str(item.folder) for item in pairs]

    def compare(what: str, values: Sequence[Any]) -> list[str]:
        return split(what, {name: _short(value) for name, value in zip(shown, values, strict=True)})

    problems: list[str] = []
    for what in ("tier", "prompt_format", "shots", "source", "dtype", "scorer_version", "missing"):
        problems += compare(what.replace("_", " "), [getattr(item.result, what) for item in pairs])
    problems += compare("base", [item.base[1][:12] for item in pairs])
    problems += lacking(
        "datasets", {str(item.folder): [one.dataset for one in item.result.scores.datasets] for item in pairs}
    )
    for name in sorted({name for item in pairs for name in item.result.task_fingerprints}):
        problems += compare(
            f"task file of {name}", [item.result.task_fingerprints.get(name, "none")[:12] for item in pairs]
        )
    problems += compare("scored rows", [digest[:12] for digest in items])
    problems += pins({str(item.folder): item.result.provenance for item in pairs})
    problems += compare("training", ["none" if item.run is None else "trained" for item in pairs])
    runs = [item.run for item in pairs if item.run is not None]
    if len(runs) == len(pairs):
        problems += _training(compare, runs)
        seeds = [item.seed for item in pairs]
        if twice := sorted({seed for seed in seeds if seed is not None and seeds.count(seed) > 1}):
            same = ", ".join(name for name, seed in zip(shown, seeds, strict=True) if seed in twice)
            problems.append(f"nothing: the seed {twice[0]} is there more than once ({same})")
    elif len(pairs) > 1 and not runs:
        problems.append("nothing that training makes: a base or a baseline has one result and no seeds")
    if problems:
        raise UsageError(
            "these do not make one row, whose runs differ in the seed alone. They differ in "
            + "; in ".join(problems)
            + ". Give the runs of one recipe, or submit them as rows of their own."
        )


def _training(compare: Any, runs: Sequence[Run]) -> list[str]:
    problems: list[str] = []
    for what in ("method", "prompt_format", "steps", "world_size", "trainable_parameters"):
        problems += compare(f"training: {what.replace('_', ' ')}", [getattr(run, what) for run in runs])
    problems += compare("mix", [run.mix_fingerprint[:12] for run in runs])
    adapters = [with_gate_sum(run.adapter.plain()) for run in runs]
    recipes = [recipe_of(run).plain() for run in runs]
    for what, settings in (("adapter", adapters), ("training", recipes)):
        for key in sorted({key for values in settings for key in values}):
            problems += compare(f"{what}: {key}", [values.get(key) for values in settings])
    return list(dict.fromkeys(problems))


def _strange(folder: Path, result: Result, home: Path | None, run: Run) -> str | None:
    if result.adapter is None:
        return None if run.method == "full" else f"{home} is no training of a whole model, and {folder} is of one"
    if result.base_fingerprint != run.base_fingerprint:
        return (
            f"{folder} is an evaluation on the base {result.base_fingerprint[:12]}, and {home} was trained on "
            f"{run.base_fingerprint[:12]}"
        )
    return None


def _short(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else str(value)
