"""The rows of a board with their settings: the methods, and what the studies vary."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from cme.adapters.methods import METHODS
from cme.adapters.peft_methods import adalora_rank
from cme.adapters.settings import AdapterSettings
from cme.adapters.targets import ALL_LINEAR
from cme.board.reference import is_reference
from cme.errors import UsageError, nearest, unknown
from cme.records.board import BoardFile, MethodRow, Study
from cme.records.grid import folder_of
from cme.records.method import method_label
from cme.training.cells import cells_of, tunable, with_scale
from cme.training.recipe import load_recipe
from cme.training.settings import TrainSettings

__all__ = ["Row", "board_rows", "decimal", "flags"]

_OF_BOARD = ("base", "data", "learning_rate", "seed", "threads", "report_to", "prompt_format")
"""Training settings that are equal for all rows, or that the board chooses itself."""

_TOTAL = "total_rank"
"""What a study can vary or hold beside the settings: the sum of the ranks of all experts."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Row:
    """A row with training.

    Attributes:
        name: name of the row and of its folders.
        recipe: the recipe, or None.
        settings: settings that override the recipe.
        training: the resulting training settings.
        adapter: the resulting settings of the adapter.
        seeds: seeds of its runs.
        gpus: GPUs of one run, or None for those of the board.
        study: name of the study that the row belongs to, or None.
        method_row: name of the row from which the study derives this one.
        values: the varied settings of a row of a study.
        rate_of: name of the row whose grid chooses the learning rate.
        same_as: name of an equal row, whose runs this row takes, or None.
        retention: whether retention is measured.
        cells: one row for each combination of the settings that the grid chooses together with the rate; empty if it chooses
            the rate only. Their names are the row's name, a slash, and the values.
        undecided: names of the settings that the grid has not chosen yet.
    """

    name: str
    recipe: str | None
    settings: Mapping[str, Any]
    training: TrainSettings
    adapter: AdapterSettings
    seeds: tuple[int, ...]
    gpus: int | None = None
    study: str | None = None
    method_row: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    rate_of: str = ""
    same_as: str | None = None
    retention: bool = False
    cells: "tuple[Row, ...]" = ()
    undecided: tuple[str, ...] = ()

    @property
    def parts(self) -> "list[tuple[Row, Mapping[str, Any] | None]]":
        """The cells of the grid with their settings, or the row itself if its grid chooses the learning rate only."""
        return [(cell, cell.values) for cell in self.cells] or [(self, None)]

    @property
    def tune(self) -> dict[str, list[Any]]:
        """The values of each setting that the grid chooses together with the rate."""
        keys = self.cells[0].values if self.cells else ()
        return {key: list(dict.fromkeys(cell.values[key] for cell in self.cells)) for key in keys}

    def decided(self, cell: "Row | None") -> "Row":
        """Return the row with the settings of the cell that its grid chose. Without one, the row stays as it is."""
        return self if cell is None else replace(self, settings=cell.settings, adapter=cell.adapter, undecided=())

    @property
    def routed(self) -> bool:
        """Whether the adapter has experts."""
        return METHODS[self.adapter.method].routed

    @property
    def experts(self) -> int:
        """Number of experts of each layer; 0 if the adapter has none."""
        if "experts" in METHODS[self.adapter.method].settings:
            return self.adapter.experts
        return self.adapter.rank if self.routed else 0

    @property
    def total_rank(self) -> int:
        """The rank of the whole adapter at the start of training, which AdaLoRA then prunes."""
        if self.adapter.method == "adalora":
            return adalora_rank(self.adapter)
        return METHODS[self.adapter.method].total_rank(self.adapter)


def board_rows(file: BoardFile) -> tuple[Row, ...]:
    """Make the rows of a board: its methods in their order, followed by the rows of its studies.

    Args:
        file: the board.

    Raises:
        UsageError: a name, recipe, method or setting is unknown or invalid, or two rows have the same name.
    """
    _check_settings(file.training, "training", [item.name for item in fields(TrainSettings)])
    rows = {name: _method_row(name, item, file) for name, item in file.methods.items()}
    if not rows:
        raise UsageError("the board has no methods. Name at least one, such as 'methods: {lora: demo-lora}'.")
    for name, study in file.studies.items():
        _check_name("study", name)
        for row in _study_rows(name, study, file, rows):
            if row.name in rows:
                raise UsageError(f"study {name}: two rows are called {row.name!r}. Rename the method or the study.")
            rows[row.name] = row
    return tuple(rows.values())


def flags(settings: Mapping[str, Any]) -> list[str]:
    """Return the options of ``cme train`` for settings.

    Args:
        settings: training and adapter settings by name.

    Example:
        >>> flags({"steps": 200, "competition": False, "options": {"top_k": 2}})
        ['--steps', '200', '--no-competition', '--set', 'top_k=2']
    """
    words: list[str] = []
    for key, value in settings.items():
        option = f"--{key.replace('_', '-')}"
        if key == "options":
            words += [word for name, item in value.items() for word in ("--set", f"{name}={_yaml(item)}")]
        elif isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif isinstance(value, list | tuple):
            words += [option, ",".join(map(str, value))]
        else:
            words += [option, decimal(value) if isinstance(value, float) else str(value)]
    return words


def decimal(value: float) -> str:
    """Return the shortest text that is read as the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _yaml(value: Any) -> str:
    import json

    return json.dumps(value)


def _method_row(name: str, item: MethodRow, file: BoardFile) -> Row:
    _check_name("row", name)
    if is_reference(name):
        raise UsageError(f"the row {name!r} has the name of a reference. Give it another name.")
    where = f"methods, {name}"
    known = [field.name for cls in (TrainSettings, AdapterSettings) for field in fields(cls)]
    _check_settings(item.settings, where, known)
    settings = {**file.training, **item.settings}
    if item.recipe is None and "method" not in settings:
        settings = {"method": name, **settings}
    training, adapter = _resolved(where, item.recipe, settings)
    row = Row(name, item.recipe, settings, training, adapter, file.seeds, item.gpus, rate_of=name, retention=True)
    return _tuned(where, row, item, file) if item.tune else row


def _tuned(where: str, row: Row, item: MethodRow, file: BoardFile) -> Row:
    """Add the cells of a row whose grid also chooses settings of the adapter."""
    if not file.rates:
        raise UsageError(f"{where}: tune needs a grid. Give rates, such as 'rates: [1e-3, 2e-3, 4e-3]'.")
    if twice := [key for key in item.tune if key in item.settings]:
        raise UsageError(f"{where}: {twice[0]} is in settings and in tune. Leave it out of settings.")
    if "rank" in item.tune and "alpha" in item.settings and "alpha" not in item.tune:
        raise UsageError(
            f"{where}: alpha is in settings, but the grid chooses the rank, and alpha / rank stays that of the recipe. Put "
            "alpha into a recipe, or list its values in tune."
        )
    if row.adapter.method in ("full", "peft") and not tunable(row.adapter.method):
        raise UsageError(f"{where}: the method {row.adapter.method} has no settings that a grid can choose.")
    cells: list[Row] = []
    try:
        for values, adapter in cells_of(row.adapter, item.tune):
            # Flags are for what differs from the recipe only, so alpha is given only if the new rank does not imply it.
            changed = dict(values)
            if _resolved(where, row.recipe, {**row.settings, **changed})[1] != adapter:
                changed = with_scale(row.adapter, values)
            name = f"{row.name}/{folder_of(1.0, values).removesuffix('-lr-1e+00')}"
            cells.append(replace(row, name=name, settings={**row.settings, **changed}, adapter=adapter, values=values))
    except UsageError as error:
        raise UsageError(f"{where}: {str(error).removeprefix(f'{where}: ')}") from None
    if len(cells) < 2:
        raise UsageError(f"{where}: tune has one value only. Give several, or put it into settings.")
    return replace(row, cells=tuple(cells), undecided=tuple(with_scale(row.adapter, cells[0].values)))


def _resolved(where: str, recipe: str | None, settings: Mapping[str, Any]) -> tuple[TrainSettings, AdapterSettings]:
    try:
        training, adapter = load_recipe(recipe, {**settings, "data": "mix"})
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    # The fields of the configuration are nested, and the command line has no option for them outside of a file.
    if adapter.method == "peft" and recipe is None:
        raise UsageError(f"{where}: give a recipe for the method 'peft', which holds its fields.")
    return training, adapter


def _check_settings(settings: Mapping[str, Any], where: str, known: list[str]) -> None:
    for key in settings:
        if key in _OF_BOARD:
            raise UsageError(f"{where}: {key!r} is chosen by the board for all rows. Remove it from there.")
        if key == "target_modules" and isinstance(settings[key], str) and settings[key] != ALL_LINEAR:
            raise UsageError(f"{where}: target_modules is a regular expression, which can only be set in a recipe.")
        if key not in known:
            hint = nearest(key, known)
            raise UsageError(f"{where}: unknown setting {key!r}." + (f" Did you mean {hint!r}?" if hint else ""))


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"the {kind} {name!r} cannot be the name of a file. Use letters, digits, dots, hyphens and underscores."
        )


def _study_rows(name: str, study: Study, file: BoardFile, methods: Mapping[str, Row]) -> Iterator[Row]:
    where = f"study {name}"
    if not study.vary or not all(study.vary.values()):
        raise UsageError(f"{where}: nothing varies. Give values, such as 'vary: {{experts: [1, 2, 4]}}'.")
    if study.hold not in (None, "total_rank"):
        raise UsageError(f"{where}: hold is {study.hold!r}. The only choice is total_rank.")
    if study.hold and _TOTAL in study.vary:
        raise UsageError(f"{where}: total_rank cannot both vary and be held. Remove hold.")
    if _TOTAL in study.vary and "rank" in study.vary:
        raise UsageError(
            f"{where}: rank and total_rank cannot both vary, because one determines the other. Remove one."
        )
    if study.hold and "experts" not in study.vary:
        raise UsageError(f"{where}: hold needs 'experts' in vary, because only then the total rank changes.")
    if study.rates not in ("grid", "method"):
        raise UsageError(f"{where}: rates is {study.rates!r}. Choose grid or method.")
    for of in study.of:
        if of not in methods or methods[of].study:
            raise UsageError(f"{where}: {unknown('method', of, file.methods)}")
        if methods[of].cells:
            raise UsageError(
                f"{where}: the grid of {of} chooses settings (tune), so nothing else can vary. Name a row without tune."
            )
        method = methods[of]
        made: list[Row] = []
        problems: list[str] = []
        for values in itertools.product(*study.vary.values()):
            try:
                row = _varied(name, study, method, dict(zip(study.vary, values, strict=True)))
            except UsageError as error:
                problems.append(str(error))
                continue
            if file.rates and row.rate_of == method.name and (other := _other_method(method, row)):
                problems.append(f"{where}: {other} Use rates: grid.")
                continue
            if any((row.training, row.adapter) == (other.training, other.adapter) for other in made):
                raise UsageError(f"{where}: two of its rows of {of} are equal. Give each value once.")
            made.append(row)
        if problems:
            raise UsageError("\n".join(dict.fromkeys(problems)))
        yield from made


def _varied(name: str, study: Study, method: Row, values: Mapping[str, Any]) -> Row:
    where, adapter = f"study {name}", method.adapter
    honoured = METHODS[adapter.method].settings
    changed = dict(values)
    changed.pop(_TOTAL, None)
    for key in changed:
        if key not in honoured and key in [item.name for item in fields(AdapterSettings)]:
            has = ", ".join(honoured) or "none"
            raise UsageError(
                f"{where}: {method.name} has the method {adapter.method}, which has no setting {key!r} (it has {has})."
            )
    _check_settings(changed, where, [*honoured, *(item.name for item in fields(TrainSettings))])
    if study.hold or _TOTAL in values:
        changed["rank"] = _rank_of(where, method, values.get(_TOTAL, method.total_rank), values.get("experts"))
    if isinstance(changed.get("rank"), int) and "alpha" not in changed:
        # The output is scaled by alpha / rank, which must not change with the rank.
        alpha = adapter.lora_alpha / adapter.rank * changed["rank"]
        if _resolved(where, method.recipe, {**method.settings, **changed})[1].lora_alpha != alpha:
            changed["alpha"] = alpha
    settings = {**method.settings, **changed}
    training, adapter = _resolved(where, method.recipe, settings)
    seeds = study.seeds or method.seeds
    same = (training, adapter) == (method.training, method.adapter) and set(seeds) <= set(method.seeds)
    row_name = f"{method.name}-{name}-" + "-".join(_spoken(key, value, len(values)) for key, value in values.items())
    own = study.rates == "grid" and not same
    row = Row(
        row_name, method.recipe, settings, training, adapter, tuple(seeds), method.gpus, name, method.name, values
    )
    return replace(
        row,
        rate_of=row_name if own else method.name,
        same_as=method.name if same else None,
        retention=study.retention,
    )


def _other_method(method: Row, row: Row) -> str | None:
    """Return why a row cannot take the learning rate of the row that it is derived from, or None."""
    names = [method_label(of.adapter.method, of.adapter.options) for of in (method, row)]
    return (
        None if names[0] == names[1] else f"{row.name} is {names[1]} and cannot take the learning rate of {names[0]}."
    )


def _rank_of(where: str, method: Row, total: Any, experts: Any) -> int:
    """Return the setting ``rank`` with which a method has a total rank."""
    if not isinstance(total, int) or isinstance(total, bool) or total < 1:
        raise UsageError(f"{where}: total_rank is {total!r}. Give whole numbers above 0.")
    by_layer = (method.adapter.options or {}).get("experts_pattern")
    if method.adapter.method == "adalora" or by_layer or "rank" not in METHODS[method.adapter.method].settings:
        raise UsageError(
            f"{where}: {method.name} has the method {method.adapter.method}, which has no fixed total rank."
        )
    if not METHODS[method.adapter.method].multiplies:
        return total
    count = method.adapter.experts if experts is None else experts
    if not isinstance(count, int) or count < 1 or total % count:
        raise UsageError(f"{where}: the total rank {total} of {method.name} is not divisible by {count!r}.")
    return total // count


def _spoken(key: str, value: Any, count: int) -> str:
    """Return a value for the name of a row. With several varied settings, each value follows the name of its setting."""
    text = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
    text = re.sub(r"[^A-Za-z0-9.]+", "-", f"{text:g}" if isinstance(text, float) else str(text)).strip("-")
    return text if count == 1 else f"{key.replace('_', '-')}-{text}"
