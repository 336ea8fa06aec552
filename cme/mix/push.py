"""Upload of a finished and verified mix to a dataset repository on the hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import CMEError, SourceError, UsageError
from cme.mix.licences import uses
from cme.mix.rows import MANIFEST, read_manifest
from cme.mix.verify import verify
from cme.records import Manifest

__all__ = ["Pushed", "push"]

_BESIDE = (MANIFEST, "README.md", "overlap.json", "overlap.csv", "*.png", "*.svg")
_SHARDS = ("train/part-*.parquet", "validation/part-*.parquet")
_MADE_BY_THE_HUB = {".gitattributes", "README.md"}


@dataclass(frozen=True)
class Pushed:
    """An uploaded mix.

    Attributes:
        repository: ``owner/name``.
        url: address of the commit.
        private: whether the repository is private.
    """

    repository: str
    url: str
    private: bool


def push(folder: Path, repository: str, *, public: bool = False, have_rights: bool = False, api: Any = None) -> Pushed:
    """Upload the data files, manifest, card and overlap of a mix to a dataset repository.

    The mix is verified first. Shards of an earlier mix in the repository are replaced. A repository with other files is an error.

    Args:
        folder: a finished mix.
        repository: ``owner/name``, or the name of a repository of the user. It is created if it does not exist.
        public: whether everybody can see the repository.
        have_rights: whether the user has the right to publish datasets whose licence does not allow commercial use or is not
            stated.
        api: a `huggingface_hub.HfApi`; None for one with the user's stored token.

    Returns:
        The repository and its commit.

    Raises:
        UsageError: a licence does not allow the upload and ``have_rights`` is not set, the repository is already public and
            ``public`` is not set, or it contains something other than a mix.
        CMEError: the folder is not a mix, or differs from its manifest.
        SourceError: the hub rejects the upload or cannot be reached.
    """
    manifest = read_manifest(folder)
    _check_licences(manifest, have_rights)
    if problems := verify(folder).problems:
        raise CMEError(f"{folder} differs from its manifest, so nothing was uploaded:\n  " + "\n  ".join(problems))
    if api is None:
        from huggingface_hub import HfApi

        api = HfApi(library_name="cme", library_version=manifest.versions["cme"])
    with _hub_errors(repository):
        name = api.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True).repo_id
        info = api.dataset_info(name)
    _check_repository(name, info, public)
    with _hub_errors(repository):
        commit = api.upload_folder(
            repo_id=name,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[*manifest.files, *_BESIDE],
            delete_patterns=list(_SHARDS),
            commit_message=f"CME mix of {manifest.rows:,} rows, fingerprint {manifest.fingerprint[:12]}",
        )
    return Pushed(name, str(commit.commit_url), bool(info.private))


def _check_licences(manifest: Manifest, have_rights: bool) -> None:
    allowed = uses(manifest)
    closed = [
        f"{name}: {item.licence} ({allowed[name]})"
        for name, item in manifest.datasets.items()
        if allowed[name] != "commercial" and item.rows + item.validation
    ]
    if closed and not have_rights:
        raise UsageError(
            "these datasets may not be published without the consent of their owners:\n  "
            + "\n  ".join(closed)
            + "\nBuild the mix without them (--licence commercial), or pass --i-have-the-rights if you have their consent."
        )


def _check_repository(name: str, info: Any, public: bool) -> None:
    if not (public or info.private):
        raise UsageError(f"{name} already exists and is public. Give another name, or --public to upload to it.")
    files = {item.rfilename for item in info.siblings or ()} - _MADE_BY_THE_HUB
    if files and MANIFEST not in files:
        raise UsageError(
            f"{name} holds something other than a mix ({', '.join(sorted(files)[:3])}). Give another name; nothing was changed."
        )


@contextmanager
def _hub_errors(repository: str) -> Iterator[None]:
    """Raise one kind of error for the many unrelated classes of errors of the hub's client."""
    try:
        yield
    except Exception as error:
        message = " ".join(line for line in str(error).splitlines()[:3] if line.strip()) or type(error).__name__
        raise SourceError(
            f"the hub rejected {repository}: {message}\n"
            "Log in with 'hf auth login' and a token that may write there. Files that are already uploaded are not sent again."
        ) from error
