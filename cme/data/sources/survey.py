"""Survey of a source: which files of the suite it has, and whether they are as expected. Only footers are read."""

from dataclasses import dataclass, field
from typing import Protocol

from cme.data.columns import check_columns, unwrap
from cme.data.sources import Source
from cme.data.sources.parquet import Footer
from cme.errors import CMEError, DataError
from cme.suite import DatasetSpec, Subset

__all__ = ["Survey", "SurveyedSource", "row_warning", "survey"]


_STATES = ("ok", "other", "wrong", "missing")


class SurveyedSource(Source, Protocol):
    """A source with files: the hub or a mirror folder."""

    def footer(self, spec: DatasetSpec, subset: Subset, split: str) -> Footer:
        """Return the columns and the number of rows of a split."""
        ...

    def pinning(self, spec: DatasetSpec) -> tuple[str, str]:
        """Return the commit on the hub and what fixes it."""
        ...


@dataclass
class Survey:
    """The state of a dataset in a source.

    Attributes:
        dataset: name of the dataset.
        state: ``ok``, ``other`` (complete, but with another number of rows than published), ``wrong`` (a file or column is not as
            expected) or ``missing``.
        revision: commit on the hub, or empty.
        pinning: what fixes the commit: ``pinned``, ``locked``, ``current`` or empty.
        splits: number of rows by ``folder/split``.
        columns: types of the columns of the last split by name.
        rows: number of rows of all subsets, by ``train`` and ``eval``.
        published: published number of rows, by ``train`` and ``eval``.
        problems: one text for everything that is missing or wrong.
        warnings: differences from the published dataset that may be intended.
    """

    dataset: str
    state: str = "ok"
    revision: str = ""
    pinning: str = ""
    splits: dict[str, int] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, state: str, problem: str) -> None:
        """Add a problem, or a warning for the state ``other``. The worst state remains."""
        self.state = max(self.state, state, key=_STATES.index)
        (self.warnings if state == "other" else self.problems).append(problem)


def row_warning(spec: DatasetSpec, kind: str, rows: int) -> str | None:
    """Return a warning if the number of rows differs from the published one, or None.

    Args:
        spec: the dataset.
        kind: ``"train"`` or ``"eval"``.
        rows: number of rows of all subsets.
    """
    if rows == spec.rows[kind]:
        return None
    return f"{rows:,} {kind} rows, but {spec.rows[kind]:,} are published"


def survey(spec: DatasetSpec, source: SurveyedSource, kinds: tuple[str, ...] = ("train", "eval")) -> Survey:
    """Survey a dataset: its files, commit, columns and numbers of rows.

    The training split of a dataset outside the suite is not needed and not checked.

    Args:
        spec: the dataset.
        source: the source.
        kinds: ``"train"``, ``"eval"`` or both.

    Returns:
        The state of the dataset.
    """
    report = Survey(spec.name)
    try:
        report.revision, report.pinning = source.pinning(spec)
    except CMEError as error:
        report.add("missing", _first_line(error))
        return report
    for kind in kinds:
        if kind == "eval" or not spec.beside:
            _look(spec, source, kind, report)
    return report


def _look(spec: DatasetSpec, source: SurveyedSource, kind: str, report: Survey) -> None:
    report.published[kind] = spec.rows[kind]
    lacking = source.missing(spec, kind)
    for item in lacking.values():
        report.add("missing", f"{item} is missing")
    rows = []
    for subset in spec.subsets_of(kind):
        if subset.name in lacking:
            continue
        split = subset.split(kind)
        try:
            footer = source.footer(spec, subset, split)
            rows.append(footer.rows)
            schema = unwrap(footer.schema.empty_table(), spec).schema
            report.splits[f"{subset.folder}/{split}"] = footer.rows
            report.columns = {name: str(of) for name, of in zip(schema.names, schema.types, strict=True)}
            check_columns(schema, spec, f"{spec.name}/{split}", source.locate(spec, subset, split))
        except DataError as error:
            report.add("wrong", _first_line(error))
        except CMEError as error:
            report.add("missing", _first_line(error))
    report.rows[kind] = sum(rows)
    if len(rows) == len(spec.subsets) and (warning := row_warning(spec, kind, sum(rows))):
        report.add("other", warning)


def _first_line(error: CMEError) -> str:
    """Return the first line of an error. The advice in the other lines is the same for all and reported once."""
    return str(error).splitlines()[0]
