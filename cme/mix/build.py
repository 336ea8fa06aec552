"""The steps of a build: work files, removal of rows, cap, shards, overlap, card and manifest."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cme.data.sources import Source, check_source, is_mini, open_source, source_notes
from cme.data.sources.survey import row_warning
from cme.errors import UsageError
from cme.extras import optional
from cme.files import write_json, write_text
from cme.locks import locks_released
from cme.mix.cap import share_rows
from cme.mix.card import MINI_LICENCE, card
from cme.mix.collect_eval import collect_eval, compared_with, join_leak_detector
from cme.mix.collect_train import collect_train
from cme.mix.dedup import Cleaned, Overlap, clean
from cme.mix.licences import filter_by_use
from cme.mix.other_numbers import with_other_numbers
from cme.mix.overlap import heat_map, overlap_csv
from cme.mix.pool import mini_train_rows
from cme.mix.rows import MANIFEST, read_manifest
from cme.mix.settings import BuildSettings
from cme.mix.verify import content_fingerprint
from cme.mix.work_files import EvalFile, TrainFile
from cme.mix.workers import Workers
from cme.mix.write import Chosen, Split, take_first, write_splits
from cme.progress import bar
from cme.records import Manifest, MixDataset, versions, write_record
from cme.suite import DatasetSpec, datasets, select_for_training
from cme.suite.suites import ALL
from cme.workdir import claim, finish

__all__ = ["Checked", "build", "check_only", "describe", "empty", "sweep"]

_WORK = ".work"


@dataclass(frozen=True)
class Checked:
    """The result of decontamination, without a mix.

    Attributes:
        rows: remaining training rows, by dataset.
        overlap: detected rows, by training dataset, evaluation dataset and rule.
        unchecked: evaluation splits that the source lacks.
    """

    rows: dict[str, int]
    overlap: dict[str, Overlap]
    unchecked: tuple[str, ...]


@dataclass(frozen=True)
class _Decided:
    specs: list[DatasetSpec]
    train: dict[str, TrainFile]
    evaluation: dict[str, EvalFile]
    cleaned: dict[str, Cleaned]
    overlap: dict[str, Overlap]

    @property
    def lacking(self) -> dict[str, tuple[str, ...]]:
        """The evaluation splits that the source lacks, by dataset."""
        return {name: file.missing for name, file in self.evaluation.items() if file.missing}

    def partial(self) -> dict[str, dict[str, str]]:
        """The evaluation datasets with fewer rows than are published, though no split is missing, and their provenance."""
        known = datasets(ALL, beside=True)
        return {
            name: file.provenance
            for name, file in self.evaluation.items()
            if not file.missing and file.read < known[name].rows["eval"]
        }

    @property
    def unchecked(self) -> tuple[str, ...]:
        return tuple(missing for of in self.lacking.values() for missing in of)


@locks_released()
def build(settings: BuildSettings, *, source: Source | None = None) -> Manifest:
    """Build a training mix in ``settings.out``, or continue an interrupted build.

    The build normalises the rows. It then removes rows with conflicting labels, duplicates within and across datasets, and rows
    that leak an evaluation row (`cme.mix.decontamination`). It sets the validation rows aside, caps the datasets, orders the rows
    and writes them.

    Training rows are compared with the evaluation rows of all datasets of the suite that the source has, selected or not. An
    adapter that was trained on some datasets can thus be evaluated on all of them. A mix with datasets of CME-R is compared with
    the evaluation rows of both suites.

    Args:
        settings: what to build.
        source: an opened source, for programs that have their own; None opens ``settings.source``.

    Returns:
        The manifest, as written to ``manifest.json``.

    Raises:
        UsageError: the settings are not valid, there are fewer rows than requested, or the folder holds something else.
        SourceError: the source lacks a split and ``allow_missing`` is not set.
        DataError: a file does not match the definition of its dataset.
    """
    suite, specs, source = _begin(settings, source)
    out = settings.out
    claim(out, "build-data", settings.identity(list(suite.values())), notes=source_notes(settings.source))
    sweep(out)
    if not (out / MANIFEST).is_file():
        with Workers(settings.workers) as workers:
            decided = _decide(suite, specs, source, out / _WORK, settings, workers)
            sizes = {name: len(item.train) for name, item in decided.cleaned.items()}
            try:
                cap, counts = share_rows(sizes, settings.size, settings.mixing, settings.temperature)
            except UsageError:
                empty(out)
                raise
            files = _write(decided, counts, settings, workers)
        manifest = _manifest(settings, source.name, cap, decided, counts, files)
        describe(out, manifest, decided.specs, decided.unchecked, settings.command(source.name))
    shutil.rmtree(out / _WORK, ignore_errors=True)
    finish(out)
    return read_manifest(out)


def describe(
    out: Path, manifest: Manifest, specs: Sequence[DatasetSpec], unchecked: Sequence[str], command: str
) -> None:
    """Write the files of a mix that describe its rows: the overlap, the card, and at last the manifest.

    Args:
        out: folder of the mix.
        manifest: the manifest.
        specs: datasets of the mix, in the order of the suite.
        unchecked: evaluation splits of the suite that the source lacks.
        command: the command that builds the mix again.
    """
    write_json(out / "overlap.json", manifest.overlap)
    write_text(out / "overlap.csv", overlap_csv(manifest.overlap))
    with optional("The same numbers are in overlap.csv and overlap.json."):
        write_text(out / "overlap.svg", heat_map(manifest.overlap))
    picture = (out / "overlap.svg").is_file()
    write_text(out / "README.md", card(manifest, specs, unchecked, command, picture=picture))
    write_record(out / MANIFEST, manifest)


def check_only(settings: BuildSettings, *, source: Source | None = None) -> Checked:
    """Run decontamination and count the remaining rows, without writing a mix.

    Args:
        settings: see `build`. ``out`` is not used.
        source: see `build`.

    Returns:
        The counts.

    Raises:
        UsageError: the settings are not valid.
        SourceError: the source lacks a split and ``allow_missing`` is not set.
        DataError: a file does not match the definition of its dataset.
    """
    suite, specs, source = _begin(settings, source)
    with tempfile.TemporaryDirectory(prefix="cme-check-") as work, Workers(settings.workers) as workers:
        decided = _decide(suite, specs, source, Path(work), settings, workers)
    return Checked(
        {name: len(item.train) for name, item in decided.cleaned.items()}, decided.overlap, decided.unchecked
    )


def _begin(settings: BuildSettings, source: Source | None) -> tuple[dict[str, DatasetSpec], list[DatasetSpec], Source]:
    """Return the datasets to compare with, the selected datasets, and the source, which has the selected ones."""
    specs = select_for_training(settings.datasets)
    suite = compared_with(specs)
    if settings.uses is not None:
        specs = filter_by_use(specs, settings.uses)
    if source is None:
        rows = mini_train_rows(specs, settings.size) if is_mini(settings.source) else None
        source = open_source(settings.source, train_rows=rows)
    check_source(source, specs, ("train", "eval"), allow_missing=settings.allow_missing)
    return suite, specs, source


def sweep(out: Path) -> None:
    """Remove the incomplete files of a build that was killed."""
    for file in out.rglob(".*.tmp"):
        file.unlink()


def empty(out: Path) -> None:
    """Empty the folder, so that the same --out can be used again with the size that the message suggests."""
    for item in out.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        else:
            item.unlink()


def _decide(
    suite: Mapping[str, DatasetSpec],
    specs: list[DatasetSpec],
    source: Source,
    work: Path,
    settings: BuildSettings,
    workers: Workers,
) -> _Decided:
    """Normalise the selected training rows and all evaluation rows of the source, and decide which rows remain."""
    with bar("Evaluation rows", total=len(suite)) as shown:
        evaluation = collect_eval(
            list(suite.values()),
            source,
            work,
            decontaminate=settings.decontamination,
            workers=workers,
            # Datasets that were not selected may be missing. The rows that the source has are compared.
            strict=() if settings.allow_missing else [spec.name for spec in specs],
            advance=shown.advance,
        )
        shown.describe("Evaluation rows: index for decontamination")
        bits = [name for name, file in evaluation.items() if file.rows]
        detector = None
        if settings.decontamination and bits:
            detector = join_leak_detector({name: evaluation[name] for name in bits}, work)
    with bar("Training rows") as shown:
        train = collect_train(
            specs,
            source,
            work,
            detector=detector,
            seed=settings.seed,
            workers=workers,
            allow_missing=settings.allow_missing,
            advance=shown.advance,
            expect=shown.expect,
        )
    checked = {name: evaluation[name] for name in bits}
    cleaned = clean(suite, train, checked, bits, validation_share=settings.validation_share)
    overlap = {name: item.overlap for name, item in cleaned.items()}
    if settings.decontamination:
        overlap = with_other_numbers(cleaned, train, suite, source)
    return _Decided(specs, train, evaluation, cleaned, overlap)


def _write(decided: _Decided, counts: Mapping[str, int], settings: BuildSettings, workers: Workers) -> dict[str, str]:
    """Write both splits, and return their files as `write_splits` does."""
    train, validation = list[Chosen](), list[Chosen]()
    for spec in decided.specs:
        file, item = decided.train[spec.name], decided.cleaned[spec.name]
        taken = take_first(item.take, item.train, counts[spec.name])
        train.append(Chosen(spec, file, taken, item.order[taken]))
        validation.append(Chosen(spec, file, item.validation, item.order[item.validation]))
    splits = Split("train", train, settings.prompt_variant_share), Split("validation", validation)
    with bar("Writing", total=sum(len(chosen.rows) for chosen in (*train, *validation))) as shown:
        return write_splits(
            settings.out,
            splits,
            settings.out / _WORK,
            layout=settings.layout,
            rows_per_shard=settings.rows_per_shard,
            workers=workers,
            advance=shown.advance,
        )


def _accounts(decided: _Decided, counts: Mapping[str, int], *, mini: bool) -> dict[str, MixDataset]:
    accounts = {}
    for spec in decided.specs:
        file, other, item = decided.train[spec.name], decided.evaluation[spec.name], decided.cleaned[spec.name]
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
            warnings=() if mini else _warnings(spec, file, other),
            # A continued build has read other files of the source so far. The union of both records is always the same.
            provenance=dict(sorted((file.provenance | other.provenance).items())),
        )
    return accounts


def _warnings(spec: DatasetSpec, train: TrainFile, evaluation: EvalFile) -> tuple[str, ...]:
    warnings = (row_warning(spec, "train", train.read), row_warning(spec, "eval", evaluation.read))
    return tuple(text for text in warnings if text)


def _manifest(
    settings: BuildSettings,
    source: str,
    cap: int | None,
    decided: _Decided,
    counts: Mapping[str, int],
    files: dict[str, str],
) -> Manifest:
    accounts = _accounts(decided, counts, mini=is_mini(source))
    manifest = Manifest(
        source=source,
        seed=settings.seed,
        size=settings.size,
        rows=sum(item.rows for item in accounts.values()),
        validation_rows=sum(item.validation for item in accounts.values()),
        mixing=settings.mixing,
        cap=cap,
        paraphrase_share=settings.prompt_variant_share,
        datasets=accounts,
        files=files,
        task_fingerprints={spec.name: spec.fingerprint for spec in decided.specs},
        versions=versions(),
        fingerprint="",
        temperature=settings.temperature if settings.mixing == "temperature" else None,
        layout=settings.layout,
        gate=settings.decontamination,
        overlap=decided.overlap,
        unchecked=decided.lacking,
        partial={} if is_mini(source) else decided.partial(),
    )
    return manifest.replace(fingerprint=content_fingerprint(manifest.plain()))
