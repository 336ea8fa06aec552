"""Evaluation on the rows of a file of row ids, from any source that has them."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.data.example import Example
from cme.data.load import load_examples
from cme.data.sources import Source, open_source
from cme.errors import CMEError, SourceError, UsageError
from cme.evaluation.settings import EvalSettings
from cme.files import digest
from cme.records import RowSelection
from cme.records.ids import EvaluatedRows, content_digest, evaluated_content, read_ids
from cme.suite import DatasetSpec, datasets
from cme.suite.suites import ALL

__all__ = ["ChosenIds", "check_ids", "chosen_ids", "named_provenance", "rows_fields"]

_SHOWN = 3


class ChosenIds:
    """The rows to evaluate, by their ids.

    Args:
        place: the file, for messages.
        sha256: SHA-256 of the file.
        wanted: the content digest by id, by dataset, in the order of evaluation. A digest of None is not compared.
        evaluation: the evaluation whose rows they are; None if the file does not say it.
    """

    def __init__(
        self,
        place: str,
        sha256: str,
        wanted: Mapping[str, Mapping[str, str | None]],
        evaluation: EvaluatedRows | None = None,
    ) -> None:
        self.place, self.sha256, self.evaluation = place, sha256, evaluation
        self._wanted = wanted
        self._kept: dict[tuple[str, str], tuple[list[Example], dict[str, str]]] = {}
        self.available: dict[str, int] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "ChosenIds":
        # lm-eval copies the metadata of its tasks, and the ids and examples of a whole suite are large.
        return self

    @classmethod
    def of_samples(cls, samples: Iterable[Mapping[str, Any]], place: str) -> "ChosenIds":
        """Return the ids of evaluated samples."""
        wanted: dict[str, dict[str, str | None]] = {}
        for sample in samples:
            wanted.setdefault(sample["dataset"], {})[sample["id"]] = evaluated_content(sample)
        return cls(place, digest(wanted), wanted)

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows of each dataset, in the order of the file."""
        return {name: len(rows) for name, rows in self._wanted.items()}

    def take(self, spec: DatasetSpec, source: str) -> tuple[list[Example], dict[str, str]]:
        """Return the examples of a dataset in the order of the ids, and the provenance of their rows. They are read once.

        Args:
            spec: the dataset.
            source: the source, as the user gave it.

        Raises:
            SourceError: if the source lacks rows.
        """
        examples, provenance, missing, changed = self._look(spec, source)
        if missing or changed:
            raise SourceError(self.problem(source, {spec.name: missing}, {spec.name: changed}))
        return examples, provenance

    def lacking(self, spec: DatasetSpec, source: str) -> tuple[list[str], list[str]]:
        """Return the ids of the rows of a dataset that the source lacks, and of those with another content."""
        return self._look(spec, source)[2:]

    def problem(self, source: str, missing: Mapping[str, Sequence[str]], changed: Mapping[str, Sequence[str]]) -> str:
        """Return the message about rows that a source lacks."""
        parts = []
        for rows, what in ((missing, "are missing"), (changed, "have another subset, cluster or right answer")):
            if total := sum(map(len, rows.values())):
                counts = ", ".join(f"{name}: {len(of):,}" for name, of in rows.items() if of)
                first = [f"{name} {row}" for name, of in rows.items() for row in of][:_SHOWN]
                parts.append(f"{total:,} {what} ({counts}; the first: {', '.join(first)})")
        return (
            f"{open_source(source).place} does not have all {sum(self.counts.values()):,} rows of {self.place}: "
            f"{' and '.join(parts)}. Use a source with these rows."
        )

    def _look(self, spec: DatasetSpec, source: str) -> tuple[list[Example], dict[str, str], list[str], list[str]]:
        key, wanted = (source, spec.name), self._wanted.get(spec.name, {})
        if key in self._kept:
            return (*self._kept[key], [], [])
        opened = open_source(source)
        every = load_examples(spec, "eval", opened, allow_missing=True).examples
        self.available[spec.name] = len(every)
        known = {example.id: example for example in every if example.id in wanted}
        missing = [row for row in wanted if row not in known]
        changed = [row for row, example in known.items() if wanted[row] not in (None, _content(example))]
        examples, provenance = [known[row] for row in wanted if row in known], opened.provenance(spec)
        if not missing and not changed:
            self._kept[key] = examples, provenance
        return examples, provenance, missing, changed


def _content(example: Example) -> str:
    return content_digest([example.subset, example.cluster, len(example.choices or ()), example.gold])


def chosen_ids(file: str) -> ChosenIds:
    """Read a file of row ids. The same file is read once per process.

    Raises:
        CMEError: if the file cannot be read.
        UsageError: if it has no ids of evaluation rows, or names an unknown dataset.
    """
    path = Path(file).expanduser()
    try:
        status = path.stat()
    except OSError:
        return _read(str(path), 0, 0)
    return _read(str(path), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _read(file: str, size: int, modified: int) -> ChosenIds:
    ids = read_ids(Path(file))
    wanted = ids.of("eval")
    if not wanted:
        raise UsageError(
            f"{file} has no ids of evaluation rows. Give a file that 'cme ids' made from a result or an entry. Ids of a mix are "
            "for cme build-data."
        )
    known = datasets(ALL, beside=True)
    if strange := [name for name in wanted if name not in known]:
        raise UsageError(f"{file} has ids of {strange[0][:100]!r}, which is not a dataset of this version of CME.")
    ordered = {name: wanted[name] for name in known if name in wanted}
    before = ids.head.evaluation
    if before is not None and before.counts != {name: len(rows) for name, rows in ordered.items()}:
        raise CMEError(f"{file} is damaged, because it has other numbers of rows than it states. Get the file again.")
    return ChosenIds(file, ids.sha256, ordered, ids.head.evaluation)


def check_ids(chosen: ChosenIds, specs: Sequence[DatasetSpec], source: Source, text: str, *, train: bool) -> None:
    """Check that a source has all rows before a model is loaded.

    Args:
        chosen: the ids.
        specs: the datasets to evaluate.
        source: the source.
        text: the source, as the user gave it.
        train: whether training rows of the source determine answers too: examples in the prompt, or a baseline's counts.

    Raises:
        UsageError: if the ids were made with other task files, or training rows of another source would be used.
        SourceError: if the source lacks rows. One message counts those of all datasets.
    """
    before = chosen.evaluation
    if before is not None:
        if changed := [spec.name for spec in specs if before.task_fingerprints.get(spec.name) != spec.fingerprint]:
            raise UsageError(
                f"{chosen.place} was made with other task files of {', '.join(changed)} than those of this CME. Use the version "
                "of CME that made it."
            )
        if train and before.source != source.name:
            raise UsageError(
                f"{chosen.place} has ids of evaluation rows only, but this evaluation also uses training rows, which differ "
                f"between the sources {before.source} and {source.name}. Use the source {before.source}, or no --shots and "
                "another --baseline."
            )
    missing, changed_rows = dict[str, list[str]](), dict[str, list[str]]()
    for spec in specs:
        try:
            missing[spec.name], changed_rows[spec.name] = chosen.lacking(spec, text)
        except SourceError as error:
            raise SourceError(f"{chosen.place}: {error}") from error
    if any(missing.values()) or any(changed_rows.values()):
        raise SourceError(chosen.problem(text, missing, changed_rows))


def rows_fields(settings: EvalSettings, selection: RowSelection | None) -> dict[str, Any]:
    """Return the fields of a result that say how its rows were chosen, and from which source they are.

    Args:
        settings: settings of the evaluation.
        selection: the record of a rule that chose the rows.
    """
    now = open_source(settings.source).name
    if settings.ids is None:
        return {"rows": selection, "source": now}
    chosen, read_from = chosen_ids(settings.ids), _read_from(settings)
    source = now if chosen.evaluation is None else chosen.evaluation.source
    return {"rows": _selection(chosen), "source": source, "ids": chosen.sha256, "read_from": read_from}


def named_provenance(settings: EvalSettings, provenance: Mapping[str, str]) -> dict[str, str]:
    """Return the provenance of rows, with the name of the source in its keys if it is another one than the ids state.

    A board compares the values of equal keys. Files of two sources may differ although the rows with these ids are equal.
    """
    read_from = None if settings.ids is None else _read_from(settings)
    return {key if read_from is None else f"{key} ({read_from})": value for key, value in provenance.items()}


def _read_from(settings: EvalSettings) -> str | None:
    before, now = chosen_ids(settings.ids or "").evaluation, open_source(settings.source).name
    return None if before is None or before.source == now else now


def _selection(chosen: ChosenIds) -> RowSelection | None:
    """Return the record of how the rows were chosen: as the ids say, or as numbers of rows that a user gave."""
    if chosen.evaluation is not None:
        return chosen.evaluation.rows
    return RowSelection.of(
        rule="given",
        stopped="given",
        half_width=None,
        alpha=None,
        reached=None,
        chosen_by=(),
        counts=chosen.counts,
        available=chosen.available,
        prices={},
        looks=(),
    )
