"""Reading what is compared: results and entries, alone or several runs of one method together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.agreement import pins
from cme.leaderboard.entries.board import load_entry, samples_path
from cme.leaderboard.entries.differences import lacking, split
from cme.leaderboard.entries.scores import check_hash
from cme.leaderboard.ranking.aligned_scores import Columns, aligned, in_tier_order, read_columns
from cme.records import Entry, Result, read_record
from cme.suite.baselines import BASELINES
from cme.suite.prices import row_tokens

__all__ = ["Run", "Side", "check_sides", "is_stored", "read_sides"]

RESULT = "result.json"


@dataclass(frozen=True)
class Run:
    """The evaluation of one model.

    Attributes:
        label: what identifies it in messages.
        file: its samples file.
        samples_sha256: SHA-256 of this file.
        columns: its scores.
        shared: the conditions that all compared runs share, by name.
        tasks: fingerprint of each dataset's task file.
        data: for each dataset, what pins its rows.
        seed: seed of the training; None if it is not recorded or there was none.
        tokens: tokens of each dataset's evaluation; empty if they were not recorded.
        by_decision: whether its samples were chosen by a sequential comparison that a decision could stop.
        seconds: time of the evaluation; None if it was not recorded.
        training_seconds: time of the training; None if it was not recorded.
    """

    label: str
    file: Path
    samples_sha256: str
    columns: Columns = field(repr=False)
    shared: dict[str, str]
    tasks: dict[str, str]
    data: dict[str, dict[str, str]]
    seed: int | None
    tokens: dict[str, int]
    by_decision: bool
    seconds: float | None
    training_seconds: float | None


@dataclass(frozen=True)
class Side:
    """What is compared under one name: a model, or a method with one run per training seed.

    Attributes:
        name: name in tables.
        runs: the runs.
        trained: whether it was trained; a base or a baseline was not.
        tier: tier of the runs.
        source: source of the samples.
    """

    name: str
    runs: tuple[Run, ...]
    trained: bool
    tier: str
    source: str

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
        UsageError: the sides cannot be compared (`check_sides`).
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
    first = sides[0].runs[0]
    order = in_tier_order(first.columns, first.file)
    return [
        replace(side, runs=tuple(replace(run, columns=aligned(run.label, run.columns, order)) for run in side.runs))
        for side in sides
    ]


def check_sides(sides: Sequence[Side]) -> None:
    """Check that all runs were evaluated on the same samples in the same way.

    The base and its tokenizer may differ. A base without training may have its own number of shots, and a baseline has no
    prompts.

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
    problems = []
    for what in dict.fromkeys(name for run in runs for name in run.shared):
        problems += split(what, {run.label: run.shared[what] for run in runs if what in run.shared})
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
    names, kinds = [], set()
    for path in paths:
        if path.suffix == ".json" and path.name != RESULT:
            entry = load_entry(path)
            runs += _runs_of(entry, path.parent)
            names.append(entry.name)
            kinds.add((entry.runs[0].seed is not None, entry.tier, entry.source))
        else:
            folder = path.parent if path.name == RESULT else path
            result = read_record(folder / RESULT, Result)
            runs.append(_run_of(result, folder))
            names.append(result.name)
            kinds.add((result.adapter is not None or len(paths) > 1, result.tier, result.source))
    name = names[0] if key.startswith("=") else key
    if len({trained for trained, _, _ in kinds}) > 1:
        raise UsageError(f"{name} consists of trained and untrained models. Give each method its own name.")
    seeds = [run.seed for run in runs if run.seed is not None]
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise UsageError(f"{name} has two runs with seed {twice[0]}. Give one run per seed.")
    trained, tier, source = sorted(kinds)[0]
    return Side(name, tuple(runs), trained, tier, source)


def _columns(file: Path) -> Columns:
    """Read the scores of a file, whose size and columns are limited while they are read."""
    columns = read_columns(file)
    for name, (_, _, values) in columns.items():
        if not (np.all(values >= 0) and np.all(values <= 1)):
            raise CMEError(f"{file}: a score of {name} is not a number from 0 to 1. Evaluate again.")
    return columns


def _run_of(result: Result, folder: Path) -> Run:
    file, where = folder / "samples.parquet", f"result {folder}"
    check_hash(file, result.samples_sha256, where)
    shared = {"tier": result.tier, "source": result.source, "scorer version": str(result.scorer_version)}
    if result.baseline is None:
        shared |= {"prompt format": result.prompt_format, "prompt variant": str(result.prompt_variant)}
        if result.adapter is not None or not result.shots:
            shared["shots"] = str(result.shots)
    return Run(
        label=str(folder),
        file=file,
        samples_sha256=result.samples_sha256,
        columns=_columns(file),
        shared=shared,
        tasks=result.task_fingerprints,
        data=result.provenance,
        seed=None,
        tokens=result.tokens,
        by_decision=result.rows is not None and result.rows.rule == "decided",
        seconds=sum(result.seconds.values()) or None,
        training_seconds=None,
    )


def _runs_of(entry: Entry, folder: Path) -> list[Run]:
    shared = {"tier": entry.tier, "source": entry.source, "scorer version": str(entry.scorer_version)}
    if entry.method not in BASELINES:
        shared |= {"prompt format": entry.prompt_format, "prompt variant": "0"}
        if entry.method != "base" or not entry.shots:
            shared["shots"] = str(entry.shots)
    runs = []
    for k, run in enumerate(entry.runs):
        label = f"{entry.name}, seed {run.seed}" if len(entry.runs) > 1 else f"{folder / entry.name}.json"
        file = samples_path(folder, entry.name, k)
        check_hash(file, run.samples_sha256, f"entry {entry.name!r}")
        runs.append(
            Run(
                label=label,
                file=file,
                samples_sha256=run.samples_sha256,
                columns=_columns(file),
                shared=shared,
                tasks=entry.task_fingerprints,
                data=run.provenance.data,
                seed=run.seed,
                tokens={},
                by_decision=False,
                seconds=run.provenance.evaluation.seconds,
                training_seconds=run.cost.wall_seconds,
            )
        )
    return runs
