"""Evaluates models on a growing number of rows, stage by stage. Each stage computes only what the stages before did not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cme.errors import CMEError, UsageError
from cme.evaluation.row_rules import Look, RowRule, too_many_rows
from cme.evaluation.row_windows import Window
from cme.evaluation.session import Session, finished, part_folder, part_key
from cme.evaluation.settings import RESULT, EvalSettings
from cme.evaluation.start import ModelRow, Start, release_rows
from cme.evaluation.store import Lines
from cme.models.load import load_tokenizer
from cme.processes import Group
from cme.progress import table
from cme.records import Result, RowSelection, read_record
from cme.records.samples import read_samples
from cme.suite import DatasetSpec
from cme.suite.precision import ALPHA, average_interval, half_width
from cme.suite.score import Sample
from cme.workdir import finish

__all__ = ["GrowingModel", "Sessions", "Written", "grow"]

_STAGES = "stages.jsonl"

Counts = dict[str, int]


@dataclass
class GrowingModel:
    """A model whose evaluation grows, with its output folder.

    Attributes:
        settings: settings of the evaluation.
        start: what was checked before the model is loaded.
        row: the model and its folder.
        origin: see `Result.origin`.
        parts: records and folders of the finished rows of each dataset, in the order of the rows.
        samples: the samples of these rows, by dataset.
    """

    settings: EvalSettings
    start: Start
    row: ModelRow
    origin: str = "cme"
    parts: dict[str, list[tuple[dict[str, Any], Path]]] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Folder that contains the folders of the datasets."""
        return self.row.out / "parts"

    @property
    def answers(self) -> dict[str, Any]:
        """The settings that determine the answers."""
        return {name: value for name, value in self.row.identity.items() if name != "datasets"}

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the adapter, or of the base if there is none."""
        return self.row.fingerprint or self.start.fingerprint


Written = Callable[[Session, GrowingModel, RowSelection], Result]
"""Function that writes the result of a model after its last stage."""


def grow(
    models: Sequence[GrowingModel],
    rule: RowRule,
    write: Written,
    sessions: "Sessions",
) -> list[Result]:
    """Evaluate models on the same rows until a rule stops, and write their results.

    The numbers of rows of every stage are stored in the output folders before the stage begins. After an interruption, the same
    stages follow, and finished rows and batches are read.

    Args:
        models: the models, whose folders are claimed. They have the same datasets.
        rule: the rule that chooses the rows.
        write: function that writes the result of a model.
        sessions: the sessions of the models.

    Returns:
        The results, in the order of the models.

    Raises:
        CMEError: as for `cme.evaluation.run.evaluate`, or if the rule cannot be met.
    """
    group = sessions.group
    specs = models[0].start.specs
    names = [spec.name for spec in specs]
    plan = group.first(lambda: _planned(models, names))
    rows, number = dict.fromkeys(names, 0), 0
    available: Counts = {}
    target = rule.first(names, plan[0] if plan else None)
    while True:
        windows = {name: (rows[name], target[name]) for name in names if target[name] > rows[name]}
        group.first(lambda: _note(models, number, target))  # noqa: B023 (it runs at once)
        for model in models:
            try:
                available |= _evaluate(model, specs, windows, sessions, group, rule.progress, rule.exact)
            except CMEError:
                _release_empty(models, group)
                raise
        rows = {name: min(target[name], available[name]) for name in names}
        number += 1
        following, selection = group.first(lambda: _look(models, rule, rows, available, plan[number:]))  # noqa: B023
        if selection is not None:
            return [_result(model, selection, sessions, write, group) for model in models]
        target = following


def _evaluate(
    model: GrowingModel,
    specs: Sequence[DatasetSpec],
    windows: Mapping[str, Window],
    sessions: "Sessions",
    group: Group,
    progress: str,
    exact: bool,
) -> Counts:
    """Evaluate the rows of one stage, and return the number of available rows of each of its datasets."""
    chosen = [spec for spec in specs if spec.name in windows]
    places = {spec.name: part_folder(model.folder, spec.name, windows[spec.name]) for spec in chosen}
    keys = {spec.name: part_key(model.answers, spec, windows[spec.name]) for spec in chosen}
    done = group.first(lambda: {name: finished(places[name], keys[name]) for name in places})
    if not all(done.values()):
        session = sessions.attach(model)
        known = group.together(lambda: session.prepare(chosen, model.folder, windows))
        if exact and (over := [name for name in windows if windows[name][1] > known.get(name, windows[name][1])]):
            raise too_many_rows(over[0], windows[over[0]][1], known[over[0]], model.settings.tier)
        with table(
            [spec.name for spec in chosen], whole=f"{model.row.out.name}: datasets{progress}", shown=group.rank == 0
        ) as bar:
            for spec in chosen:
                done[spec.name] = session.dataset(spec, model.folder, bar(spec.name), windows[spec.name])
    for name, record in done.items():
        model.parts.setdefault(name, []).append((record or {}, places[name]))
        if group.rank == 0:
            model.samples.setdefault(name, []).extend(read_samples(places[name] / "samples.parquet"))
    return {name: record["available"] for name, record in done.items() if record}


def _release_empty(models: Sequence[GrowingModel], group: Group) -> None:
    """Undo the claims of the folders in which nothing was evaluated."""
    empty = [model for model in models if not model.row.resumed and not any(model.folder.glob("*/*"))]
    if group.rank == 0:
        for model in empty:
            (model.row.out / _STAGES).unlink(missing_ok=True)
    release_rows([model.row for model in empty], group)


def _look(
    models: Sequence[GrowingModel], rule: RowRule, rows: Counts, available: Counts, plan: Sequence[Counts]
) -> tuple[Counts, RowSelection | None]:
    """Ask the rule for the next rows. Return them, or the selection if it stops."""
    prices = {name: _mean([model.parts[name][0][0]["price"] for model in models]) for name in rows}
    samples = tuple([sample for name in rows for sample in model.samples[name]] for model in models)
    look = Look(rows, available, prices, samples)
    planned = plan[0] if plan else None
    try:
        following = rule.next(look, planned)
    except UsageError as error:
        if not rule.kept:
            raise
        count, out = sum(rows.values()), models[0].row.out if len(models) == 1 else models[0].row.out.parent
        raise UsageError(
            f"{error} The {count:,} evaluated rows are kept in {out}, and the same --out uses them."
        ) from None
    if following is None:
        return {}, rule.selection(look, [model.fingerprint for model in models])
    return following, None


def _result(model: GrowingModel, selection: RowSelection, sessions: "Sessions", write: Written, group: Group) -> Result:
    """Write the result of a model, unless its folder has it."""
    file = model.row.out / RESULT

    def there() -> Result | None:
        try:
            result = read_record(file, Result)
        except CMEError:
            return None
        return result if result.rows is not None and result.rows.identity == selection.identity else None

    if (result := group.first(there)) is not None:
        group.first(lambda: finish(model.row.out))
    else:
        session = sessions.attach(model)

        def written() -> Result:
            # The result of fewer rows stays until it is replaced, because its retention is kept.
            return write(session, model, selection.replace(reached=_reached(model, selection)))

        result = group.first(written)
    return result


def _reached(model: GrowingModel, selection: RowSelection) -> float | None:
    if model.settings.tier == "smoke":
        return None
    try:
        samples = [sample for of_dataset in model.samples.values() for sample in of_dataset]
        return half_width(average_interval(samples, selection.alpha or ALPHA))
    except UsageError:
        # The rows of a dataset have one cluster.
        return None


class Sessions:
    """Sessions of several models, of which at most one is in memory. Models with the same base share theirs.

    Args:
        several: whether there is more than one model.
        group: the processes that share the work.
        given: session with a model in memory, for all models.
    """

    def __init__(self, several: bool, group: Group, given: Session | None = None) -> None:
        self.group = group
        self._several, self._given = several, given
        self._kept: dict[Path, Session] = {}
        self._attached: tuple[Session, GrowingModel] | None = None

    def attach(self, model: GrowingModel) -> Session:
        """Return the session of a model's base, with the model's adapter attached."""
        session = self._given or self.of_base(model)
        if self._attached is None or self._attached[0] is not session or self._attached[1] is not model:
            self._attached = None
            self.group.together(
                lambda: session.attach(model.row.adapter, model.answers, model.folder, model.row.experts)
            )
            self._attached = session, model
        return session

    def of_base(self, model: GrowingModel) -> Session:
        """Return the session of a model's base, which is loaded if it is not in memory."""
        folder = model.start.folder
        if folder not in self._kept:
            self._kept.clear()
            self._attached = None
            tokenizer = load_tokenizer(folder)
            self._kept[folder] = self.group.together(
                lambda: Session(model.settings, folder, tokenizer, group=self.group, several=self._several)
            )
        return self._kept[folder]


def _planned(models: Sequence[GrowingModel], names: Sequence[str]) -> list[Counts]:
    """Return the rows of the stages that were begun in the output folders.

    Raises:
        UsageError: if two folders have different stages.
    """
    plans = {model.row.out: _read_stages(model.row.out, names) for model in models}
    longest = max(plans.values(), key=len)
    for out, plan in plans.items():
        if plan != longest[: len(plan)]:
            raise UsageError(
                f"{out} has other rows than the other models' folders, so the models cannot be compared on equal rows. Choose "
                "another --out."
            )
    return longest


def _read_stages(out: Path, names: Sequence[str]) -> list[Counts]:
    """Return the rows of the stages in a folder; none if the evaluation had other datasets."""
    file = out / _STAGES
    stages: list[Counts] = []
    for line in Lines.read(file) if file.is_file() else ():
        stages[line["stage"] :] = [line["rows"]]
    return stages if all(set(stage) == set(names) for stage in stages) else []


def _note(models: Sequence[GrowingModel], number: int, rows: Counts) -> None:
    """Store the rows of a stage in the folders of all models before it begins."""
    for model in models:
        stages = _read_stages(model.row.out, list(rows))
        if stages[number : number + 1] != [rows]:
            Lines(model.row.out / _STAGES).append({"stage": number, "rows": rows})


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
