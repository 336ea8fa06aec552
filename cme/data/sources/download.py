"""The hub → a mirror folder that works offline ever after."""

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
        dataset: the dataset that reads it (the first, where two do).
        split: ``folder/split``, as the mirror has it.
        revision: the commit on the hub.
        files: number of files.
        size: of all files, in bytes.
        fetched: how many files this call fetched; the others were there.
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
        """Where files of this split go in the mirror."""
        names = file_names(self.name, len(files))
        return {out / self.subset.folder / name: file for name, file in zip(names, files, strict=True)}


def file_names(split: str, count: int) -> list[str]:
    """What the files of a split are called in a mirror."""
    if count == 1:
        return [f"{split}.parquet"]
    return [f"{split}-{number:05}-of-{count:05}.parquet" for number in range(count)]


@locks_released()
def download(
    out: Path, specs: Sequence[DatasetSpec], kinds: Sequence[str], lock: Lock, *, update: bool = False
) -> list[Downloaded]:
    """Fetch the Parquet files of datasets into a mirror folder; called again, fetch what is not there yet.

    Every file is checked against the size and checksum that the hub states. ``cme.lock`` in the folder says what it holds.

    Args:
        out: the mirror folder, new or not.
        specs: the datasets; of those shown beside the suite, the evaluation split alone is fetched.
        kinds: ``"train"``, ``"eval"`` or both.
        lock: commits that were looked up before; new ones are written to it. Where it knows nothing of a repository, the
            mirror's own lock does.
        update: move repositories without a pinned revision on to their current commit.

    Returns:
        What the mirror has of them now, in the suite's order.

    Raises:
        UsageError: the folder holds other files of the same name, or another process works in it.
        SourceError: the hub cannot be reached, or does not have or not give what the suite reads.
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
    """Everything that is to be fetched, each split once; the hub is asked before anything is fetched."""
    splits: dict[tuple[str, str], _Split] = {}
    with bar("Asking the hub", total=len(specs)) as shown:
        for spec in specs:
            shown.describe(f"Asking the hub for {spec.name}")
            for kind in kinds:
                for subset in spec.subsets if kind == "eval" or not spec.beside else ():
                    name = subset.split(kind)
                    if (subset.folder, name) not in splits:
                        files = hub.files(spec, subset, name)
                        splits[subset.folder, name] = _Split(spec, subset, name, hub.revision(spec), files)
            shown.advance()
    return list(splits.values())


def _prepare(out: Path, splits: Sequence[_Split], mirror: Lock) -> None:
    """Remove what an earlier download put there of another commit, and note what the folder is going to hold.

    In this order, so that a file that is there is either noted or right, whenever this is interrupted.
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
                f"{out} holds files that 'cme download' did not put there: {', '.join(map(str, strange))}. "
                "Choose another --out, or move them away."
            )
        old = {file: locked for file, locked in noted.items() if wanted.get(file) != locked}
        stale += [path for file, locked in old.items() for path in (file, partial_path(file, locked))]
    _check_moved(out, splits, mirror)
    for file in stale:
        file.unlink(missing_ok=True)
    for split in splits:
        mirror.put(split.spec.hub_id, split.revision, split.key, split.files)


def _check_moved(out: Path, splits: Sequence[_Split], mirror: Lock) -> None:
    """A mirror holds one commit of a repository: what moves on moves on altogether."""
    for hub_id, revision in {split.spec.hub_id: split.revision for split in splits}.items():
        wanted = {split.key for split in splits if split.spec.hub_id == hub_id}
        left = sorted(mirror.noted(hub_id).keys() - wanted)
        if left and mirror.revision(hub_id) != revision:
            raise UsageError(
                f"{out} also holds {', '.join(left)} of {hub_id}, of another commit ({mirror.revision(hub_id)}). "
                "Fetch them too (other --datasets, --splits), or choose another --out."
            )


def _fetch(out: Path, split: _Split, shown: Bar) -> int:
    """Fetch the files that are not there; returns how many those were."""
    fetched = 0
    for target, file in split.targets(out, split.files).items():
        if target.is_file() and file.matches(target):
            shown.advance(file.size / _MEGABYTE)
            continue
        fetch(split.spec.hub_id, split.revision, file, target, lambda step: shown.advance(step / _MEGABYTE))
        fetched += 1
    return fetched
