"""Is everything there that the suite reads, and is it what it should be? Footers are read, never rows."""

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
        """Columns and number of rows of a split."""
        ...

    def pinning(self, spec: DatasetSpec) -> tuple[str, str]:
        """The hub's commit, and what fixes it."""
        ...


@dataclass
class Survey:
    """What a source has of a dataset.

    Attributes:
        dataset: the dataset.
        state: ``ok``; ``other`` (all is there, but not as many rows as published); ``wrong`` (a file or a column); ``missing``.
        revision: the hub's commit, or empty.
        pinning: what fixes it: ``pinned``, ``locked``, ``current`` or empty.
        splits: ``folder/split`` → number of rows.
        columns: names and types of the columns, of the last split read.
        rows: ``train`` and ``eval`` → number of rows of all parts.
        published: ``train`` and ``eval`` → number of rows as published.
        problems: what is missing or wrong, one sentence each.
        warnings: what is not as published, but may be right.
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
        """Note a problem or a warning; the worst one names the state."""
        self.state = max(self.state, state, key=_STATES.index)
        (self.warnings if state == "other" else self.problems).append(problem)


def row_warning(spec: DatasetSpec, kind: str, rows: int) -> str | None:
    """What to say where a dataset has more or fewer rows than published; None where it has as many.

    Args:
        spec: the dataset.
        kind: ``"train"`` or ``"eval"``.
        rows: rows of all parts together.
    """
    if rows == spec.rows[kind]:
        return None
    return f"{rows:,} {kind} rows, but {spec.rows[kind]:,} are published"


def survey(spec: DatasetSpec, source: SurveyedSource, kinds: tuple[str, ...] = ("train", "eval")) -> Survey:
    """Look through a dataset: what is there, of which commit, with which columns, and how many rows.

    A dataset that is shown beside the suite is evaluated only: its training split is not looked for.

    Args:
        spec: the dataset.
        source: where it lies.
        kinds: which splits, ``"train"``, ``"eval"`` or both.
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
    for subset in spec.subsets:
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
    """An error's first line: what is wrong; what to do about it is the same for all and told once."""
    return str(error).splitlines()[0]
