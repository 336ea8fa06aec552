"""The Hugging Face hub: only the Parquet files of the split that is asked for, through `datasets` and `huggingface_hub`."""

from pathlib import Path
from typing import TYPE_CHECKING

from cme.data.sources.parquet import read_parquet
from cme.errors import DataError, SourceError
from cme.suite import DatasetSpec, Part

if TYPE_CHECKING:
    import pyarrow as pa
    from huggingface_hub.hf_file_system import HfFileSystemResolvedRepositoryPath

__all__ = ["OFFLINE_WAYS", "HubSource"]

OFFLINE_WAYS = (
    "Without the hub: --source mini (the invented corpus), or --source DIR with Parquet files laid out as "
    "DIR/<part>/<split>.parquet."
)


class HubSource:
    """Rows from the hub, one split at a time; files are kept in the Hugging Face cache.

    A repository without a pinned revision is looked up once: all its splits come from the commit found then.
    """

    name = "hub"
    place = "the hub"

    def __init__(self) -> None:
        self._revisions: dict[str, str] = {}

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Nothing is known to be missing before the hub is asked."""
        return {}

    def locate(self, spec: DatasetSpec, part: Part, split: str) -> str:
        """The repository, configuration and split."""
        return f"hub:{spec.hub_id}/{part.config or 'default'}/{split}"

    def table(self, spec: DatasetSpec, part: Part, split: str) -> "pa.Table":
        """Download (once) and read the split's Parquet files.

        Raises:
            SourceError: the hub cannot be reached, or has no such repository, configuration or split.
            DataError: the split is not stored as Parquet.
        """
        where = self.locate(spec, part, split)
        files = self._files(spec, part, where, split)
        if any(not file.path_in_repo.endswith(".parquet") for file in files):
            raise DataError(f"{where}: not stored as Parquet, which is all that is read (no dataset scripts).")
        self._revisions[spec.hub_id] = files[0].revision
        return read_parquet([_download(file, where) for file in files], where)

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """The commit that the rows came from."""
        return {"revision": self._revisions[spec.hub_id]} if spec.hub_id in self._revisions else {}

    def _files(
        self, spec: DatasetSpec, part: Part, where: str, split: str
    ) -> "list[HfFileSystemResolvedRepositoryPath]":
        import datasets
        from huggingface_hub import HfFileSystem
        from huggingface_hub.hf_file_system import HfFileSystemResolvedRepositoryPath

        revision = spec.revision or self._revisions.get(spec.hub_id)
        try:
            builder = datasets.load_dataset_builder(spec.hub_id, part.config, revision=revision)
            urls = {str(name): list(files) for name, files in (builder.config.data_files or {}).items()}
            paths = [HfFileSystem().resolve_path(url) for url in urls.get(split, [])]
        except Exception as error:
            raise _unreachable(where, error) from error
        files = [path for path in paths if isinstance(path, HfFileSystemResolvedRepositoryPath)]
        if not files:
            raise SourceError(
                f"{where}: the hub has no such split; it has: {', '.join(urls) or 'none'}.\n{OFFLINE_WAYS}"
            )
        return files


def _download(file: "HfFileSystemResolvedRepositoryPath", where: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(file.repo_id, file.path_in_repo, repo_type="dataset", revision=file.revision))
    except Exception as error:
        raise _unreachable(where, error) from error


def _unreachable(where: str, error: Exception) -> SourceError:
    """What the libraries say, in one line, with the cause at the bottom of it (a refused connection, a status code).

    They raise errors of half a dozen unrelated classes (their own, the HTTP client's, RuntimeError for dataset scripts).
    """
    said, cause = _first_line(error), _first_line(_root(error))
    return SourceError(
        f"{where} cannot be had: {said}" + (f" ({cause})" if cause not in said else "") + f"\n{OFFLINE_WAYS}"
    )


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
