"""A board that was read from its file: the checked rows, and where everything lies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from cme.adapters.config_check import check_configs
from cme.board.expert_checks import check_experts
from cme.board.ids import FixedRows, with_fixed_rows
from cme.board.reference import check_reference, shots_of
from cme.board.rows import Row, board_rows
from cme.config import build
from cme.errors import CMEError, UsageError, unknown
from cme.models.embedded import EMBEDDED
from cme.models.load import DTYPES
from cme.readers.yaml_file import read_yaml
from cme.records.board import BoardFile
from cme.records.grid import folder_of
from cme.sandbox import RUN_CODE
from cme.suite.choice import in_suite, select_for_training
from cme.suite.spec import Use, select
from cme.suite.suites import check_suite
from cme.suite.tiers import TIERS

__all__ = ["Base", "Board", "read_board"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Base:
    """A base model of a board.

    Attributes:
        name: the base as given: hub id, folder or the embedded base.
        label: short name, which is the name of its folders.
        first: whether it is the first base, whose folders lie at the top of the board's folders.
    """

    name: str
    label: str
    first: bool

    @property
    def prefix(self) -> str:
        """Beginning of the names of the base's steps: empty for the first base."""
        return "" if self.first else f"{self.label}/"


@dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
        file: the content of its file.
        path: the file.
        work: folder of the mix, the runs, the results and the logs.
        out: folder of the entries and tables.
        rows: the methods and the rows of the studies.
        bases: the base models.
        fixed: what the files of row ids say.
    """

    file: BoardFile
    path: Path
    work: Path
    out: Path
    rows: tuple[Row, ...]
    bases: tuple[Base, ...]
    fixed: FixedRows

    @property
    def prompt_format(self) -> str:
        """The prompt format, which all rows share."""
        return self.rows[0].training.prompt_format

    @property
    def mix(self) -> Path:
        """The folder of the mix."""
        return Path(self.file.mix.folder).expanduser() if self.file.mix.folder else self.work / "mix"

    @property
    def methods(self) -> tuple[Row, ...]:
        """The rows of the main table."""
        return tuple(row for row in self.rows if row.study is None)

    def of_study(self, name: str) -> tuple[Row, ...]:
        """Return the rows of a study."""
        return tuple(row for row in self.rows if row.study == name)

    def row(self, name: str) -> Row:
        """Return a row by its name."""
        return next(row for row in self.rows if row.name == name)


def read_board(path: Path, work: Path | None = None, *, with_bases: bool = True) -> Board:
    """Read and check a board.

    Args:
        path: the YAML file.
        work: folder of the mix, the runs and the results, instead of the one in the file.
        with_bases: whether the bases must be on this machine or ids of the hub. What reads entries only needs none.

    Raises:
        UsageError: the file is missing or not a board, or a name or value in it is unknown or invalid.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder. Give the YAML file of a board, such as {path / 'board.yaml'}.")
    if not path.is_file():
        raise UsageError(f"{path} does not exist. Give the YAML file of a board.")
    where = f"board {path}"
    values = read_yaml(path, where, error=UsageError)
    if not isinstance(values, Mapping):
        raise UsageError(f"{where} must be a mapping with the keys name, methods, out and others.")
    file = build(BoardFile, values, where)
    try:
        file, fixed = with_fixed_rows(file)
        file = _with_datasets(file)
        _check(file)
        rows = board_rows(file)
        check_configs(
            ((part.name, part.adapter) for row in rows for part, _ in row.parts), "rows that cannot be trained"
        )
        _check_names(file, rows)
        check_experts(file, rows)
        bases = _bases(file, with_bases)
    except CMEError as error:
        raise type(error)(f"{where}: {error}") from None
    folder = work or Path(file.work or f"boards/{file.name}")
    return Board(file, path, folder.expanduser(), Path(file.out).expanduser(), rows, bases, fixed)


def _with_datasets(file: BoardFile) -> BoardFile:
    """Return the board with the families of its suite, if it names no datasets. CME-22 is the suite without names."""
    suite: str | None = check_suite(file.suite, several=False)
    if file.ids is not None and "suite" not in file.model_fields_set:
        suite = None  # the row ids are of one suite
    chosen = in_suite(suite, file.datasets or None) or ()
    if file.mix.folder is not None or file.mix.ids is not None:
        return file.model_copy(update={"datasets": chosen})
    # A mix of named datasets may be of another suite than the board.
    of_mix = in_suite(file.mix.suite or (None if file.mix.datasets else suite), file.mix.datasets or None) or ()
    return file.model_copy(update={"datasets": chosen, "mix": file.mix.model_copy(update={"datasets": of_mix})})


def _check(file: BoardFile) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", file.name):
        raise UsageError(f"name is {file.name!r}. Use letters, digits, dots, hyphens and underscores.")
    if file.tier not in TIERS:
        raise unknown("tier", file.tier, TIERS)
    if not file.out.strip():
        raise UsageError("out is empty. Give a folder for the entries and tables.")
    _check_run_code(file)
    _check_mix(file)
    for what, value, known in (
        ("dtype", file.dtype, ("auto", *DTYPES)),
        ("costs: dtype", file.costs and file.costs.dtype, DTYPES),
        ("analysis: tier", file.analysis and file.analysis.tier, TIERS),
    ):
        if value is not None and value not in known:
            raise unknown(what, str(value), known)
    if file.device not in (None, "cpu", "cuda"):
        raise unknown("device", str(file.device), ("cpu", "cuda"))
    if len(set(file.rates)) < len(file.rates) or len(file.rates) == 1:
        raise UsageError(
            f"rates has {', '.join(f'{rate:g}' for rate in file.rates)}. Give at least two different rates, or none for those of "
            "the recipes."
        )
    if len({folder_of(rate) for rate in file.rates}) < len(file.rates):
        raise UsageError(
            f"rates has {', '.join(map(str, file.rates))}. Two rates must differ in their first seven digits."
        )
    for what, numbers in (
        ("seeds", file.seeds),
        *((f"study {name}: seeds", s.seeds) for name, s in file.studies.items()),
    ):
        if len(set(numbers)) < len(numbers) or (what == "seeds" and not numbers):
            raise UsageError(f"{what} has {', '.join(map(str, numbers)) or 'no values'}. Give each seed once.")


def _check_run_code(file: BoardFile) -> None:
    """Check that the datasets are known, and that those whose programs must run may run them."""
    if file.run_code is not None and file.run_code not in RUN_CODE:
        raise unknown("run_code", file.run_code, RUN_CODE)
    specs = select(file.datasets or None)
    running = [spec.name for spec in specs if spec.runs_code]
    if file.run_code is not None and not running:
        raise UsageError(
            f"run_code is {file.run_code}, but no dataset of the board has programs that must run. Leave it out, or add such a "
            "dataset."
        )
    if running and file.run_code is None:
        others = [spec.name for spec in specs if not spec.runs_code]
        raise UsageError(
            f"to score {' and '.join(running)}, the code that the models write must run. Add 'run_code: true', which runs it in "
            "a sandbox (bubblewrap)" + (f", or leave them out: 'datasets: [{', '.join(others)}]'." if others else ".")
        )


def _check_mix(file: BoardFile) -> None:
    mix = file.mix
    if mix.folder is not None:
        if len(mix.model_fields_set) > 1:
            raise UsageError("mix: folder cannot be combined with other settings, because that mix exists already.")
        return
    try:
        select_for_training(mix.datasets or None)
    except UsageError as error:
        raise UsageError(f"mix: datasets: {error}") from None
    chosen = {
        key: getattr(mix, key) for key in ("seed", "mixing", "temperature", "prompt_variant_share", "validation_share")
    }
    chosen = {key: value for key, value in chosen.items() if value is not None}
    try:
        if chosen:
            from cme.mix.settings import BuildSettings, temperature_of

            built = BuildSettings(source="mini", out=Path(), **chosen)
            temperature_of(mix.temperature, built.mixing)
        for use in filter(None, (mix.licence or "").split(",")):
            if use.strip() not in get_args(Use):
                raise unknown("use", use.strip(), get_args(Use))
    except UsageError as error:
        raise UsageError(f"mix: {error}") from None
    if mix.validation_share == 0 and file.rates:
        raise UsageError(
            "mix: validation_share is 0, but the validation rows choose the learning rate. Set it above 0, or leave out rates."
        )


def _check_names(file: BoardFile, rows: tuple[Row, ...]) -> None:
    methods = [row.name for row in rows if row.study is None]
    formats = {row.name: row.training.prompt_format for row in rows}
    if len(set(formats.values())) > 1:
        listed = ", ".join(f"{name}: {value}" for name, value in formats.items())
        raise UsageError(f"the recipes have different prompt formats ({listed}). Rows of one board share the format.")
    shots = next((name for name in file.references if shots_of(name)), None)
    if shots and formats[methods[0]] != "plain":
        raise UsageError(
            f"references: {shots} needs the prompt format plain, but the recipes have {formats[methods[0]]}."
        )
    for name in file.references:
        check_reference(name)
        if file.references.count(name) > 1:
            raise UsageError(f"references: {name} is listed twice. List each reference once.")
    known = [*file.methods, *(name for name in file.references if name == "base")]
    for name in file.prompt_variants.rows:
        if name not in known:
            raise UsageError(f"prompt_variants: {unknown('row', name, known)}")
    if bool(file.prompt_variants.rows) != bool(file.prompt_variants.which):
        raise UsageError("prompt_variants needs both rows and which, such as 'rows: [lora], which: [1, 2]'.")
    specs = select(file.datasets or None)
    for number in file.prompt_variants.which:
        for spec in specs:
            spec.instruction_at(number)


def _bases(file: BoardFile, check: bool) -> tuple[Base, ...]:
    if not file.base:
        raise UsageError(f"base is empty. Name at least one base model, such as {EMBEDDED}.")
    bases: list[Base] = []
    for name in file.base:
        if check:
            _check_base(name)
        label = re.sub(r"[^A-Za-z0-9._-]+", "-", name.rstrip("/").rsplit("/", 1)[-1])
        if label in [other.label for other in bases]:
            raise UsageError(f"base: two bases are called {label!r}. Give each base once.")
        if label in _FOLDERS or (label == "exports" and file.exports is not None):
            raise UsageError(
                f"base: {label!r} is the name of one of the board's own folders. Rename the base's folder."
            )
        bases.append(Base(name, label, not bases))
    return tuple(bases)


_FOLDERS = ("mix", "grid", "runs", "results", "costs", "analysis", "entries", "samples", "studies", "logs", "steps")


def _check_base(name: str) -> None:
    """Refuse a base that cannot exist. Whether a hub id exists is only known when the first step loads it."""
    folder = Path(name).expanduser()
    if name == EMBEDDED or (folder / "config.json").is_file():
        return
    if folder.is_dir():
        raise UsageError(
            f"base {name!r} is a folder without config.json, so it is no model. Name the folder of a model."
        )
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise UsageError(
            f"base {name!r} does not exist: it is neither a folder nor a hub id (owner/name). Give one of these, or {EMBEDDED!r}."
        )
