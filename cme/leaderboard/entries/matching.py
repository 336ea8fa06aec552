"""Matching the results and training runs of one row, and checking that they differ in the seed only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import UsageError
from cme.leaderboard.entries.agreement import pins
from cme.leaderboard.entries.chosen_rows import rows_label
from cme.leaderboard.entries.differences import lacking, split
from cme.records import Recipe, Result, Run
from cme.records.method import with_gate_sum

__all__ = ["Pair", "check_one_row", "pair", "recipe_of"]


@dataclass(frozen=True)
class Pair:
    """A result and the training run of the evaluated model.

    Attributes:
        folder: The folder of the result.
        result: The evaluation's record.
        run: The training's record; None for a base or a baseline.
    """

    folder: Path
    result: Result
    run: Run | None

    @property
    def seed(self) -> int | None:
        """The seed of the training; None for a base or a baseline."""
        return None if self.run is None else self.run.training.seed

    @property
    def base(self) -> tuple[str, str]:
        """The base's name and its fingerprint before training, so that full fine-tuning shares the base of other rows."""
        source = self.run or self.result
        return source.base, source.base_fingerprint


def recipe_of(run: Run) -> Recipe:
    """Return the training settings that all runs of a row share."""
    return Recipe(**{key: value for key, value in run.training.plain().items() if key in Recipe.model_fields})


def pair(results: Mapping[Path, Result], runs: Mapping[Path, Run]) -> list[Pair]:
    """Match each result with its training run, by the fingerprint of the trained weights.

    Args:
        results: The results by folder.
        runs: The training runs by folder, in any order.

    Returns:
        The pairs in the order of their seeds.

    Raises:
        UsageError: A result has no run, a run has no result, or two of them belong to the same adapter. One message lists
            all problems.
    """
    problems: list[str] = []
    made: dict[str, Path] = {}
    for folder, run in runs.items():
        if (other := made.setdefault(run.adapter_fingerprint, folder)) != folder:
            problems.append(f"{other} and {folder} trained the same adapter (leave one of them out)")
    pairs: list[Pair] = []
    evaluated: dict[str, Path] = {}
    for folder, result in results.items():
        trained = result.adapter.fingerprint if result.adapter else result.base_fingerprint
        home = made.get(trained)
        if home is None and result.adapter is not None:
            problems.append(
                f"{folder} evaluates the adapter {trained[:12]}, whose training run is missing (add it with --run)"
            )
            continue
        if (other := evaluated.setdefault(trained, folder)) != folder:
            problems.append(f"{other} and {folder} evaluate the same model (leave one of them out)")
            continue
        run_of = None if home is None else runs[home]
        if run_of is not None and (problem := _mismatch(folder, result, home, run_of)):
            problems.append(problem)
        pairs.append(Pair(folder, result, run_of))
    for fingerprint, folder in made.items():
        if fingerprint not in evaluated:
            problems.append(
                f"no result evaluates the model that {folder} trained (add the result, or leave the run out)"
            )
    if problems:
        raise UsageError("these results and runs do not belong together: " + "; ".join(problems) + ".")
    return sorted(pairs, key=lambda item: -1 if item.seed is None else item.seed)


def check_one_row(pairs: Sequence[Pair], items: Sequence[str]) -> None:
    """Check that the evaluations and training runs of one row differ in the seed only.

    Args:
        pairs: The results of the row with their runs.
        items: The digest of the scored samples of each result.

    Raises:
        UsageError: They differ in something else, or two have the same seed. One message lists all problems.
    """
    shown = [str(item.folder) for item in pairs]

    def compare(what: str, values: Sequence[Any]) -> list[str]:
        return split(what, {name: _short(value) for name, value in zip(shown, values, strict=True)})

    problems: list[str] = []
    remarks: list[str] = []
    for what in ("tier", "prompt_format", "shots", "source", "dtype", "scorer_version", "missing"):
        problems += compare(what.replace("_", " "), [getattr(item.result, what) for item in pairs])
    problems += compare("base", [item.base[1][:12] for item in pairs])
    known = {str(item.folder): item.result.tokenizer_fingerprint for item in pairs if item.result.tokenizer_fingerprint}
    problems += split("tokenizer", {name: fingerprint[:12] for name, fingerprint in known.items()})
    problems += lacking(
        "datasets", {str(item.folder): [one.dataset for one in item.result.scores.datasets] for item in pairs}
    )
    for name in sorted({name for item in pairs for name in item.result.task_fingerprints}):
        problems += compare(
            f"task file of {name}", [item.result.task_fingerprints.get(name, "none")[:12] for item in pairs]
        )
    chosen = [item.result.rows for item in pairs]
    problems += compare("rows per dataset", [rows_label(rows) for rows in chosen])
    problems += compare("choice of the rows", ["tier" if rows is None else rows.identity[:12] for rows in chosen])
    problems += compare("scored rows", [digest[:12] for digest in items])
    problems += pins({str(item.folder): item.result.provenance for item in pairs})
    problems += compare("training", ["none" if item.run is None else "trained" for item in pairs])
    runs = [item.run for item in pairs if item.run is not None]
    if len(runs) == len(pairs):
        problems += _training(compare, runs)
        seeds = [item.seed for item in pairs]
        if twice := sorted({seed for seed in seeds if seed is not None and seeds.count(seed) > 1}):
            same = ", ".join(name for name, seed in zip(shown, seeds, strict=True) if seed in twice)
            remarks.append(f"The seed {twice[0]} is used more than once ({same}).")
    elif len(pairs) > 1 and not runs:
        remarks.append("A base or a baseline has one result, because it is not trained.")
    if problems:
        remarks.insert(0, f"They differ in {'; in '.join(problems)}.")
    if remarks:
        raise UsageError(
            "these results do not make one row, because the runs of a row may differ in the seed only. "
            + " ".join(remarks)
            + " Give the runs of one recipe, or submit the results as separate rows."
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


def _mismatch(folder: Path, result: Result, home: Path | None, run: Run) -> str | None:
    if result.adapter is None:
        return (
            None
            if run.method == "full"
            else f"{home} trained an adapter, but {folder} evaluates a model without an adapter"
        )
    if result.base_fingerprint != run.base_fingerprint:
        return (
            f"{folder} was evaluated on the base {result.base_fingerprint[:12]}, but {home} was trained on the base "
            f"{run.base_fingerprint[:12]}"
        )
    return None


def _short(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else str(value)
