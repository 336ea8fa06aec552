"""Download of datasets from the hub to a mirror folder, which works offline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cme.data.sources.fetch import fetch, partial_path
from cme.data.sources.lock import LOCK, Lock, LockedFile, split_key
from cme.data.sources.resolve import HubFiles
from cme.errors import UsageError
from cme.files import cannot_write
from cme.locks import locked, locks_released
from cme.progress import Bar, bar
from cme.suite import DatasetSpec, Subset

__all__ = ["Downloaded", "download", "file_names"]

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Downloaded:
    """One split of the mirror.

    Attributes:
        dataset: the first dataset that uses it.
        split: ``folder/split`` in the mirror.
        revision: commit on the hub.
        files: number of files.
        size: size of all files in bytes.
        fetched: number of files that this call downloaded. The others existed already.
    """

    dataset: str
    split: str
    revision: str
    files: int
    size: int
    fetched: int


@dataclass(frozen=True)
class _Split:
    spec: DatasetSpec
    subset: Subset
    name: str
    revision: str
    files: tuple[LockedFile, ...]

    @property
    def key(self) -> str:
        return split_key(self.subset.config, self.name)

    def targets(self, out: Path, files: tuple[LockedFile, ...]) -> dict[Path, LockedFile]:
        """Return the paths of files of this split in the mirror."""
        names = file_names(self.name, len(files))
        return {out / self.subset.folder / name: file for name, file in zip(names, files, strict=True)}


def file_names(split: str, count: int) -> list[str]:
    """Return the names of the files of a split in a mirror."""
    if count == 1:
        return [f"{split}.parquet"]
    return [f"{split}-{number:05}-of-{count:05}.parquet" for number in range(count)]


@locks_released()
def download(
    out: Path, specs: Sequence[DatasetSpec], kinds: Sequence[str], lock: Lock, *, update: bool = False
) -> list[Downloaded]:
    """Download the Parquet files of datasets to a mirror folder. Existing files are not downloaded again.

    The size and checksum of every file are compared with those on the hub. ``cme.lock`` in the folder lists its files.

    Args:
        out: the mirror folder. It is created if it does not exist.
        specs: the datasets. Only the evaluation split is downloaded for datasets outside the suite.
        kinds: ``"train"``, ``"eval"`` or both.
        lock: known commits, to which new ones are added. For a repository that it does not contain, the lock of the mirror is
            used.
        update: use the current commit of repositories without a pinned revision.

    Returns:
        The splits in the mirror, in the order of the suite.

    Raises:
        UsageError: the folder holds other files of the same name, or another process works in it.
        SourceError: the hub cannot be reached, or does not provide a file that the suite needs.
        CMEError: the disk is full or the folder cannot be written.
    """
    mirror = Lock.read(out / LOCK)
    lock.adopt(mirror)
    splits = _resolve(specs, kinds, HubFiles(lock, update=update))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    locked(out, "download")
    _prepare(out, splits, mirror)
    done = []
    total = sum(file.size for split in splits for file in split.files)
    with bar("Downloading (MB)", total=total / _MEGABYTE) as shown:
        for split in splits:
            shown.describe(f"Downloading {split.spec.name}/{split.name} (MB)")
            fetched = _fetch(out, split, shown)
            size = sum(file.size for file in split.files)
            place = f"{split.subset.folder}/{split.name}"
            done.append(Downloaded(split.spec.name, place, split.revision, len(split.files), size, fetched))
    return done


def _resolve(specs: Sequence[DatasetSpec], kinds: Sequence[str], hub: HubFiles) -> list[_Split]:
    """Return the splits to download, each of them once. All requests to the hub precede the downloads."""
    splits: dict[tuple[str, str], _Split] = {}
    with bar("Asking the hub", total=len(specs)) as shown:
        for spec in specs:
            shown.describe(f"Asking the hub for {spec.name}")
            for kind in kinds:
                for subset in spec.subsets_of(kind) if kind == "eval" or not spec.beside else ():
                    name = subset.split(kind)
                    if (subset.folder, name) not in splits:
                        files = hub.files(spec, subset, name)
                        splits[subset.folder, name] = _Split(spec, subset, name, hub.revision(spec), files)
            shown.advance()
    return list(splits.values())


def _prepare(out: Path, splits: Sequence[_Split], mirror: Lock) -> None:
    """Remove files of another commit that an earlier download wrote, and add the new files to the lock.

    With this order, every file is in the lock or correct, even after an interruption.
    """
    stale = []
    for split in splits:
        wanted, folder = split.targets(out, split.files), out / split.subset.folder
        noted = split.targets(out, mirror.noted(split.spec.hub_id).get(split.key, ()))
        strange = [
            file
            for file in sorted({*folder.glob(f"{split.name}.parquet"), *folder.glob(f"{split.name}-*.parquet")})
            if file not in noted and not (file in wanted and wanted[file].matches(file))
        ]
        if strange:
            raise UsageError(
                f"{out} has files that 'cme download' did not write: {', '.join(map(str, strange))}. "
                "Choose another --out, or move them."
            )
        old = {file: locked for file, locked in noted.items() if wanted.get(file) != locked}
        stale += [path for file, locked in old.items() for path in (file, partial_path(file, locked))]
    _check_moved(out, splits, mirror)
    for file in stale:
        file.unlink(missing_ok=True)
    for split in splits:
        mirror.put(split.spec.hub_id, split.revision, split.key, split.files)


def _check_moved(out: Path, splits: Sequence[_Split], mirror: Lock) -> None:
    """Check that all splits of a repository in the mirror are of the same commit."""
    for hub_id, revision in {split.spec.hub_id: split.revision for split in splits}.items():
        wanted = {split.key for split in splits if split.spec.hub_id == hub_id}
        left = sorted(mirror.noted(hub_id).keys() - wanted)
        if left and mirror.revision(hub_id) != revision:
            raise UsageError(
                f"{out} also has {', '.join(left)} of {hub_id} at another commit ({mirror.revision(hub_id)}). "
                "Download these splits too (see --datasets and --splits), or choose another --out."
            )


def _fetch(out: Path, split: _Split, shown: Bar) -> int:
    """Download the missing files of a split, and return their number."""
    fetched = 0
    for target, file in split.targets(out, split.files).items():
        if target.is_file() and file.matches(target):
            shown.advance(file.size / _MEGABYTE)
            continue
        fetch(split.spec.hub_id, split.revision, file, target, lambda step: shown.advance(step / _MEGABYTE))
        fetched += 1
    return fetched
