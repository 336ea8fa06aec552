"""Row ids of mixes and evaluations: writing them, and building a mix from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, path, public
from cme.errors import CMEError, UsageError
from cme.records import Entry, Manifest, Result, Run, read_record
from cme.workdir import is_finished

if TYPE_CHECKING:
    import pyarrow as pa

    from cme.mix import BuildSettings
    from cme.records.ids import IdsHead

__all__ = ["SPELLED", "WrittenIds", "entry_ids", "rebuilt_mix", "write_ids"]

_FREE = ("source", "out", "workers", "allow_missing")
SPELLED = {"layout": "format", "uses": "licence"}
"""Settings of a mix that have another name on the command line."""


@dataclass(frozen=True)
class WrittenIds:
    """A file of row ids that was written.

    Attributes:
        file: the file.
        rows: number of rows, by ``train``, ``validation`` and ``eval``.
    """

    file: Path
    rows: dict[str, int]

    def __fspath__(self) -> str:
        return str(self.file)


@public
def write_ids(place: StrPath, out: StrPath) -> WrittenIds:
    """Write which rows a mix or an evaluation has, without their text: ``cme ids``.

    With ``build_mix(ids=…)`` and ``evaluate(ids=…)``, the same mix is built and the same rows are evaluated from any source that
    has them, such as the hub or a mirror.

    Args:
        place: a mix, a training run (its mix), a result, or an entry of a leaderboard (``entries/NAME.json``).
        out: the Parquet file to write. An existing file of row ids is replaced; any other file is refused.

    Returns:
        The file, and its numbers of rows.

    Raises:
        CMEError: if the place is none of these or is damaged, or ``out`` is another file.

    Example:
        >>> mix = cme.build_mix("of-ids", source="mini", size=100, datasets="rte", workers=1)
        >>> cme.write_ids(mix, "ids.parquet").rows["train"]
        100
        >>> again = cme.build_mix("again", source="mini", ids="ids.parquet", workers=1)
        >>> again.fingerprint == mix.fingerprint
        True
    """
    from cme.records.ids import is_ids_file
    from cme.records.ids import write_ids as write

    file = path(out)
    if file.is_dir():
        raise UsageError(f"{file} is a folder. Give a file for out, such as {file / 'ids.parquet'}.")
    if file.exists() and not is_ids_file(file):
        raise UsageError(
            f"{file} exists and is not a file of row ids that CME wrote. Give another file for out. Nothing was changed."
        )
    rows, head = _rows_of(path(place))
    write(file, rows, head)
    counts = {item["values"]: item["counts"] for item in rows["split"].value_counts().to_pylist()}
    return WrittenIds(file, counts)


def _rows_of(place: Path) -> "tuple[pa.Table, IdsHead]":
    if place.is_file():
        return _of_entry(place)
    for name, read in (("manifest.json", _of_mix), ("run.json", _of_run), ("result.json", _of_result)):
        if (place / name).is_file():
            return read(place)
    raise UsageError(
        f"{place} is not a mix, a training run, a result or an entry. Give a folder with manifest.json, run.json or result.json, "
        "or a file below entries/."
    )


def _of_mix(folder: Path) -> "tuple[pa.Table, IdsHead]":
    from cme.mix.ids import mix_ids

    return mix_ids(folder)


def _of_run(folder: Path) -> "tuple[pa.Table, IdsHead]":
    run = read_record(folder / "run.json", Run)
    mix = Path(str(run.training.data)).expanduser()
    if not (mix / "manifest.json").is_file():
        raise CMEError(f"the mix of {folder} is not in {mix} any more. Give the folder of the mix.")
    if read_record(mix / "manifest.json", Manifest).fingerprint != run.mix_fingerprint:
        raise CMEError(f"{mix} is not the mix {run.mix_fingerprint[:12]} on which {folder} was trained any more.")
    return _of_mix(mix)


def _of_result(folder: Path) -> "tuple[pa.Table, IdsHead]":
    from cme.records.ids import EvaluatedRows, IdsHead
    from cme.records.samples import read_samples

    if (folder / ".cme.json").is_file() and not is_finished(folder):
        raise CMEError(f"{folder} is unfinished. Run the command that started it again to continue.")
    result = read_record(folder / "result.json", Result)
    samples = read_samples(folder / "samples.parquet")
    head = EvaluatedRows(
        tier=result.tier,
        source=result.source,
        task_fingerprints=result.task_fingerprints,
        counts={item.dataset: item.n for item in result.scores.datasets},
        missing=result.missing,
        rows=result.rows,
    )
    return _table(samples), IdsHead(evaluation=head)


def _of_entry(file: Path) -> "tuple[pa.Table, IdsHead]":
    from cme.leaderboard.entries.board import load_entry, samples_path
    from cme.leaderboard.entries.scores import check_hash
    from cme.records.samples import read_samples

    entry = load_entry(file)
    samples = samples_path(file.parent, entry.name)
    check_hash(samples, entry.runs[0].samples_sha256, f"entry {entry.name}")
    return entry_ids(entry, read_samples(samples))


def entry_ids(entry: Entry, samples: Sequence[Mapping[str, Any]]) -> "tuple[pa.Table, IdsHead]":
    """Return the row ids of an entry with its samples, and what their file says about them."""
    from cme.records.ids import EvaluatedRows, IdsHead

    head = EvaluatedRows(
        tier=entry.tier,
        source=entry.source,
        task_fingerprints=entry.task_fingerprints,
        counts={item.dataset: item.n for item in entry.scores.datasets},
        missing=entry.runs[0].provenance.missing,
        rows=entry.rows,
    )
    return _table(samples), IdsHead(evaluation=head)


def _table(samples: Sequence[Mapping[str, Any]]) -> "pa.Table":
    import pyarrow as pa

    from cme.records.ids import evaluated_content

    columns = {
        "dataset": [sample["dataset"] for sample in samples],
        "split": ["eval"] * len(samples),
        "id": [sample["id"] for sample in samples],
        "content": [evaluated_content(sample) for sample in samples],
    }
    return pa.table(columns, schema=pa.schema([(name, pa.string()) for name in columns]))


def rebuilt_mix(settings: "BuildSettings", ids: Path) -> Manifest:
    """Build the mix of a file of row ids, with the settings that do not determine its rows.

    Raises:
        UsageError: another setting was given.
        CMEError: see `cme.mix.rebuild.rebuild`.
    """
    from cme.mix import BuildSettings
    from cme.mix.rebuild import RebuildSettings, rebuild

    default = BuildSettings(source=settings.source, out=settings.out)
    differing = [
        SPELLED.get(item.name, item.name)
        for item in fields(BuildSettings)
        if item.name not in _FREE and getattr(settings, item.name) != getattr(default, item.name)
    ]
    if differing:
        raise UsageError(
            f"{', '.join(differing)} cannot be combined with ids, because the file of row ids determines the mix. Leave "
            f"{'it' if len(differing) == 1 else 'them'} out."
        )
    free = {name: getattr(settings, name) for name in _FREE}
    return rebuild(RebuildSettings(ids=ids, **free))
