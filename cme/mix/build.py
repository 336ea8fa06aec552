"""Build a mix: source → work files → what stays → cap → shards, overlap, card, manifest."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cme.data.sources import Source, check_source, is_mini, open_source
from cme.errors import UsageError
from cme.files import digest, sha256_file, write_json, write_text
from cme.mix.cap import solve_cap
from cme.mix.card import MINI_LICENCE, card
from cme.mix.clean import Cleaned, clean
from cme.mix.collect import WorkFile, collect
from cme.mix.pool import mini_train_rows
from cme.mix.rows import MANIFEST, read_manifest
from cme.mix.settings import BuildSettings
from cme.mix.write import Chosen, take_first, write_split
from cme.progress import bar
from cme.records import Manifest, MixDataset, versions, write_record
from cme.suite import DatasetSpec, datasets, select
from cme.workdir import claim, finish

__all__ = ["build"]

_WORK = ".work"


def build(settings: BuildSettings, *, source: Source | None = None) -> Manifest:
    """Build a training mix in ``settings.out``; called again after an interruption, go on where it stopped.

    The steps, in order: normalise; drop conflicting labels; duplicates within and across datasets; rows whose text an
    evaluation row has; set the validation part aside; cap; order; write. Training rows are kept clear of the
    evaluation rows of every dataset of the suite that the source has, selected or not: an adapter trained on some
    datasets is evaluated on all.

    Args:
        settings: what to build.
        source: an opened source, for programs that have one of their own; None: open ``settings.source``.

    Returns:
        The manifest, as written to ``manifest.json``.

    Raises:
        UsageError: the settings do not fit, there are fewer rows than asked for, or the folder holds something else.
        SourceError: the source lacks a split (and ``allow_missing`` is not set).
        DataError: a file does not hold what its dataset promises.
    """
    settings.check()
    suite, specs, out = datasets(beside=True), select(settings.datasets), settings.out
    if beside := [spec.name for spec in specs if spec.beside]:
        raise UsageError(
            f"{', '.join(beside)} is for evaluation only: it has no training rows of its own. Leave it out."
        )
    if source is None:
        rows = mini_train_rows(specs, settings.size) if is_mini(settings.source) else None
        source = open_source(settings.source, train_rows=rows)
    check_source(source, specs, ("train", "eval"), allow_missing=settings.allow_missing)
    claim(out, "build-data", settings.identity(list(suite.values())))
    _sweep(out)
    if not (out / MANIFEST).is_file():
        train, evaluation = _collect(suite, specs, source, out / _WORK, settings)
        checked = {name: file for name, file in evaluation.items() if file.rows}
        cleaned = clean(suite, train, checked, validation_share=settings.validation_share)
        try:
            cap, counts = solve_cap({name: len(item.train) for name, item in cleaned.items()}, settings.size)
        except UsageError:
            _empty(out)
            raise
        files = _write(specs, train, cleaned, counts, settings)
        manifest = _manifest(
            settings,
            source.name,
            cap,
            _accounts(specs, train, evaluation, cleaned, counts, mini=is_mini(source.name)),
            files,
            specs,
        )
        overlap = {name: item.overlap for name, item in cleaned.items()}
        exact = {name: {other: {"exact": count} for other, count in found.items()} for name, found in overlap.items()}
        write_json(out / "overlap.json", exact)
        unchecked = [missing for file in evaluation.values() for missing in file.missing]
        write_text(out / "README.md", card(manifest, specs, overlap, unchecked, settings.command(source.name)))
        write_record(out / MANIFEST, manifest)
    shutil.rmtree(out / _WORK, ignore_errors=True)
    finish(out)
    return read_manifest(out)


def _sweep(out: Path) -> None:
    """Remove half-written files of a build that was killed."""
    for file in out.rglob(".*.tmp"):
        file.unlink()


def _empty(out: Path) -> None:
    """Give the folder back as it was: the same --out must be free for the size that the message offers."""
    for item in out.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        else:
            item.unlink()


def _collect(
    suite: Mapping[str, DatasetSpec], specs: list[DatasetSpec], source: Source, work: Path, settings: BuildSettings
) -> tuple[dict[str, WorkFile], dict[str, WorkFile]]:
    """Work files of the selected datasets' training rows and of all evaluation rows the source has."""
    train, evaluation = {}, {}
    with bar("Reading", total=len(specs) + len(suite)) as shown:
        for spec in specs:
            shown.describe(f"Reading {spec.name}")
            train[spec.name] = collect(spec, "train", source, work, allow_missing=settings.allow_missing)
            shown.advance()
        for spec in suite.values():
            shown.describe(f"Reading {spec.name} (evaluation rows)")
            # A dataset that was not selected is an extra: whatever the source has of it is checked.
            lenient = settings.allow_missing or spec not in specs
            evaluation[spec.name] = collect(spec, "eval", source, work, allow_missing=lenient)
            shown.advance()
    return train, evaluation


def _write(
    specs: list[DatasetSpec],
    train: Mapping[str, WorkFile],
    cleaned: Mapping[str, Cleaned],
    counts: Mapping[str, int],
    settings: BuildSettings,
) -> list[str]:
    """Write both splits; returns their files, relative to the mix."""
    picked = {"train": [], "validation": []}  # type: dict[str, list[Chosen]]
    for spec in specs:
        file, item = train[spec.name], cleaned[spec.name]
        picked["train"].append(Chosen(spec, file, take_first(file, item.train, counts[spec.name], settings.seed)))
        picked["validation"].append(Chosen(spec, file, item.validation))
    files = []
    with bar("Writing", total=sum(len(chosen.rows) for part in picked.values() for chosen in part)) as shown:
        for split, chosen in picked.items():
            files += write_split(
                settings.out,
                split,
                chosen,
                seed=settings.seed,
                paraphrase_share=settings.paraphrase_share if split == "train" else 0.0,
                rows_per_shard=settings.rows_per_shard,
                bar=shown,
            )
    return files


def _accounts(
    specs: list[DatasetSpec],
    train: Mapping[str, WorkFile],
    evaluation: Mapping[str, WorkFile],
    cleaned: Mapping[str, Cleaned],
    counts: Mapping[str, int],
    *,
    mini: bool,
) -> dict[str, MixDataset]:
    accounts = {}
    for spec in specs:
        file, other, item = train[spec.name], evaluation[spec.name], cleaned[spec.name]
        accounts[spec.name] = MixDataset(
            family=spec.family,
            licence=MINI_LICENCE if mini else spec.licence,
            read=file.read,
            dropped=file.dropped,
            conflicting=item.conflicting,
            duplicates=item.duplicates,
            leaks=item.leaks,
            validation=len(item.validation),
            available=len(item.train),
            rows=counts[spec.name],
            missing=file.missing + other.missing,
            # The source's record of what it has read so far differs in a continued build; together both are the same.
            provenance=dict(sorted((file.provenance | other.provenance).items())),
        )
    return accounts


def _manifest(
    settings: BuildSettings,
    source: str,
    cap: int | None,
    accounts: dict[str, MixDataset],
    files: list[str],
    specs: list[DatasetSpec],
) -> Manifest:
    manifest = Manifest(
        source=source,
        seed=settings.seed,
        size=settings.size,
        rows=sum(item.rows for item in accounts.values()),
        validation_rows=sum(item.validation for item in accounts.values()),
        mixing=settings.mixing,
        cap=cap,
        paraphrase_share=settings.paraphrase_share,
        datasets=accounts,
        files={name: sha256_file(settings.out / name) for name in files},
        task_fingerprints={spec.name: spec.fingerprint for spec in specs},
        versions=versions(),
        fingerprint="",
    )
    body: dict[str, Any] = asdict(manifest)
    for name in ("versions", "fingerprint", "tokens"):
        del body[name]
    return replace(manifest, fingerprint=digest(body))
