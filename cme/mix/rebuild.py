"""Builds a mix again from its row ids, from any source that has these rows.

Only training splits are read. Which rows remain, and in which split, is in the file of row ids, so no row is compared with
evaluation rows. The order and the prompt variant of a row follow from its id and the manifest in the file.
"""

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, Strict

import cme
from cme.config import build, validated
from cme.data.sources import Source, is_mini, open_source, source_identity, source_notes
from cme.errors import CMEError, SourceError, UsageError
from cme.files import digest
from cme.locks import locks_released
from cme.mix.build import describe, empty, sweep
from cme.mix.collect_eval import compared_with
from cme.mix.collect_train import collect_train
from cme.mix.ids import CONTENT, content_of
from cme.mix.pool import mini_train_rows
from cme.mix.rows import MANIFEST, read_manifest
from cme.mix.verify import content_fingerprint
from cme.mix.workers import Workers
from cme.mix.write import Chosen, Split, write_splits
from cme.progress import bar
from cme.records import Manifest, versions
from cme.records.ids import MixOfIds, RowIds, read_ids
from cme.suite import DatasetSpec, datasets
from cme.suite.suites import ALL
from cme.workdir import claim, finish

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cme.mix.work_files import TrainFile

__all__ = ["RebuildSettings", "rebuild"]

_WORK = ".work"
_SHOWN = 3
_CANDIDATES = 16_384


@validated("settings of a rebuilt mix")
class RebuildSettings:
    """Settings of ``cme build-data --ids``.

    Attributes:
        source: see `cme.mix.settings.BuildSettings`.
        ids: file of row ids of a mix.
        out: see `cme.mix.settings.BuildSettings`.
        allow_missing: continue without rows that the source lacks. The manifest counts them.
        workers: see `cme.mix.settings.BuildSettings`.
    """

    source: str
    ids: Annotated[Path, Strict(strict=False)]
    out: Annotated[Path, Strict(strict=False)]
    allow_missing: bool = False
    workers: Annotated[int, Field(ge=1)] = 1


@dataclass
class _Detected:
    """The rows of one dataset that were detected in the source, by split, and the ids of the others."""

    train: "NDArray[np.int64]"
    validation: "NDArray[np.int64]"
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


@locks_released()
def rebuild(settings: RebuildSettings, *, source: Source | None = None) -> Manifest:
    """Build the mix of a file of row ids in ``settings.out``, or continue an interrupted build.

    If the source has all rows with equal content, the data files are bitwise identical to those of the first build with the same
    version of pyarrow, and the fingerprint of the mix is the same.

    Args:
        settings: what to build.
        source: an opened source, for programs that have their own; None opens ``settings.source``.

    Returns:
        The manifest, as written to ``manifest.json``.

    Raises:
        UsageError: the ids are not those of a mix, its task files are others, or the folder holds something else.
        SourceError: the source lacks rows and ``allow_missing`` is not set. One message counts them.
        CMEError: the file of row ids cannot be read.
    """
    ids = read_ids(settings.ids)
    mix, specs = _mix_of(ids)
    splits = [ids.of(split) for split in ("train", "validation")]
    wanted = {name: [split.get(name, {}) for split in splits] for name in mix.manifest.datasets}
    if source is None:
        rows = mini_train_rows(specs, mix.manifest.size) if is_mini(settings.source) else None
        source = open_source(settings.source, train_rows=rows)
    out = settings.out
    claim(out, "build-data", _identity(settings, ids, mix), notes=source_notes(settings.source))
    sweep(out)
    if not (out / MANIFEST).is_file():
        with Workers(settings.workers) as workers:
            read = [spec for spec in specs if any(wanted[spec.name])]
            files = _collect(read, source, out / _WORK, mix.manifest.seed, workers)
            detected = {spec.name: _detected(files[spec.name], wanted[spec.name]) for spec in read}
            if (problem := _lacking(settings, source, detected, wanted)) and not settings.allow_missing:
                empty(out)
                raise SourceError(problem)
            written = _write(mix, read, files, detected, settings, workers)
        manifest = _manifest(mix, ids, source, written, detected)
        describe(out, manifest, specs, _unchecked(manifest), _command(settings, source))
    shutil.rmtree(out / _WORK, ignore_errors=True)
    finish(out)
    return read_manifest(out)


def _mix_of(ids: RowIds) -> tuple[MixOfIds, list[DatasetSpec]]:
    """Return what the ids say about their mix, and its datasets in the order of the suite."""
    mix, known = ids.head.mix, datasets(ALL, beside=True)
    if mix is None:
        raise UsageError(
            f"{ids.file} has no ids of a mix. Give a file that 'cme ids' made from a mix. Other ids are for cme eval."
        )
    manifest = mix.manifest
    if changed := [
        name
        for name in manifest.datasets
        if name not in known or known[name].fingerprint != manifest.task_fingerprints.get(name)
    ]:
        raise UsageError(
            f"{ids.file}: the mix was built with other task files of {', '.join(changed)} than those of this CME. Use the "
            f"version that built it (cme {manifest.versions.get('cme', 'unknown')})."
        )
    counted = Counter(zip(ids.table["dataset"].to_pylist(), ids.table["split"].to_pylist(), strict=True))
    promised = Counter({(name, "train"): item.rows for name, item in manifest.datasets.items() if item.rows})
    promised |= Counter({(name, "validation"): item.validation for name, item in manifest.datasets.items()})
    if counted != +promised:
        raise CMEError(
            f"{ids.file} is damaged, because its rows are not those of the manifest in it. Get the file again."
        )
    return mix, [spec for name, spec in known.items() if name in manifest.datasets]


def _identity(settings: RebuildSettings, ids: RowIds, mix: MixOfIds) -> dict[str, Any]:
    """Return everything that determines the bytes of the mix. It has the settings of the first build, which entries record."""
    return {
        **mix.settings,
        "ids": ids.sha256,
        "source": source_identity(settings.source),
        "without_missing": settings.allow_missing,
        "cme": cme.__version__,
        "tasks": digest(mix.manifest.task_fingerprints)[:16],
    }


def _collect(
    specs: list[DatasetSpec], source: Source, work: Path, seed: int, workers: Workers
) -> "dict[str, TrainFile]":
    with bar("Training rows") as shown:
        return collect_train(
            specs, source, work, detector=None, seed=seed, workers=workers, allow_missing=True, advance=shown.advance,
            expect=shown.expect,
        )  # fmt: skip


def _detected(file: "TrainFile", wanted: list[dict[str, str | None]]) -> _Detected:
    """Return the rows of a dataset that are wanted. Of several rows with one id, it is the first with the wanted content."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    content = wanted[0] | wanted[1]
    every = file.ids()
    candidates = np.flatnonzero(pc.is_in(every, value_set=pa.array(list(content), pa.string())).to_numpy())
    rows: dict[str, int] = {}
    seen: set[str] = set()
    for start in range(0, len(candidates), _CANDIDATES):
        some = candidates[start : start + _CANDIDATES]
        table = file.texts(some).select(["id", *CONTENT]).combine_chunks()
        for batch in table.to_batches():
            for row, number, now in zip(batch["id"].to_pylist(), some, content_of(batch), strict=True):
                seen.add(row)
                if row not in rows and content[row] in (now, None):
                    rows[row] = int(number)
    train, validation = (np.array(sorted(rows[row] for row in of if row in rows), dtype=np.int64) for of in wanted)
    return _Detected(
        train,
        validation,
        missing=[row for row in content if row not in seen],
        changed=[row for row in content if row in seen and row not in rows],
    )


def _lacking(
    settings: RebuildSettings,
    source: Source,
    detected: Mapping[str, _Detected],
    wanted: Mapping[str, list[dict[str, Any]]],
) -> str | None:
    """Return the message about rows that the source lacks, or None if it has all of them."""
    missing = {name: item.missing for name, item in detected.items() if item.missing}
    changed = {name: item.changed for name, item in detected.items() if item.changed}
    parts = []
    for rows, what in ((missing, "are missing"), (changed, "have another content")):
        if rows:
            counts = ", ".join(f"{name}: {len(of):,}" for name, of in rows.items())
            first = [f"{name} {row}" for name, of in rows.items() for row in of][:_SHOWN]
            parts.append(f"{sum(map(len, rows.values())):,} {what} ({counts}; the first: {', '.join(first)})")
    if not parts:
        return None
    total = sum(len(rows) for of in wanted.values() for rows in of)
    return (
        f"{source.place} does not have all {total:,} rows of {settings.ids}: {' and '.join(parts)}. Use a source with these "
        "rows, or pass --allow-missing to build without them."
    )


def _write(
    mix: MixOfIds,
    specs: list[DatasetSpec],
    files: "Mapping[str, TrainFile]",
    detected: Mapping[str, _Detected],
    settings: RebuildSettings,
    workers: Workers,
) -> dict[str, str]:
    train, validation = list[Chosen](), list[Chosen]()
    for spec in specs:
        file, item = files[spec.name], detected[spec.name]
        order = file.numbers().column("order").to_numpy()
        train.append(Chosen(spec, file, item.train, order[item.train]))
        validation.append(Chosen(spec, file, item.validation, order[item.validation]))
    splits = Split("train", train, mix.manifest.paraphrase_share), Split("validation", validation)
    with bar("Writing", total=sum(len(chosen.rows) for chosen in (*train, *validation))) as shown:
        return write_splits(
            settings.out, splits, settings.out / _WORK, layout=mix.manifest.layout, rows_per_shard=mix.rows_per_shard,
            workers=workers, advance=shown.advance,
        )  # fmt: skip


def _manifest(
    mix: MixOfIds, ids: RowIds, source: Source, files: dict[str, str], detected: Mapping[str, _Detected]
) -> Manifest:
    """Return the manifest of the first build with what is different now. The fingerprint of the same mix is the same."""
    values = mix.manifest.plain()
    for name, item in detected.items():
        if lost := len(item.missing) + len(item.changed):
            of = values["datasets"][name]
            note = f"{lost:,} rows of the row ids"
            of |= {"rows": len(item.train), "validation": len(item.validation), "missing": [*of["missing"], note]}
    values |= {
        "rows": sum(of["rows"] for of in values["datasets"].values()),
        "validation_rows": sum(of["validation"] for of in values["datasets"].values()),
        "files": files,
        "versions": versions(),
    }
    known = datasets(ALL, beside=True)
    provenance = {name: source.provenance(known[name]) for name in detected}
    first = {"ids": ids.sha256, "fingerprint": mix.manifest.fingerprint}
    values["rebuilt"] = {"source": source.name, "provenance": provenance, **first}
    values["fingerprint"] = content_fingerprint(values)
    return build(Manifest, values, "manifest", error=CMEError)


def _unchecked(manifest: Manifest) -> list[str]:
    if manifest.unchecked is not None:
        return [missing for of in manifest.unchecked.values() for missing in of]
    compared = {name for others in manifest.overlap.values() for name in others}
    if not compared:
        return []
    known = datasets(ALL, beside=True)
    return [name for name in compared_with(known[name] for name in manifest.datasets) if name not in compared]


def _command(settings: RebuildSettings, source: Source) -> str:
    given = f"{source.name}=DIR" if source_notes(settings.source) else source.name
    missing = " --allow-missing" if settings.allow_missing else ""
    return f"cme build-data --source {given} --ids {settings.ids.name}{missing} --out DIR"
