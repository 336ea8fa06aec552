"""The Hugging Face hub: only the Parquet files of the split that is asked for, through `datasets` and `huggingface_hub`."""

from typing import TYPE_CHECKING

from cme.errors import DataError, SourceError
from cme.suite import DatasetSpec, Part

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["OFFLINE_WAYS", "HubSource"]

OFFLINE_WAYS = "Without the hub: --source mini (the invented corpus), or --source DIR with Parquet files laid out as DIR/<part>/<split>.parquet."


class HubSource:
    """Rows from the hub, one split at a time; files are kept in the Hugging Face cache."""

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
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = [pq.read_table(file) for file in self._download(spec, part, split)]
        return pa.concat_tables(tables)

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """The commit that the rows came from."""
        return {"revision": self._revisions[spec.name]} if spec.name in self._revisions else {}

    def _download(self, spec: DatasetSpec, part: Part, split: str) -> list[str]:
        import datasets
        from huggingface_hub import HfFileSystem, hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError

        where = self.locate(spec, part, split)
        try:
            builder = datasets.load_dataset_builder(spec.hub_id, part.config, revision=spec.revision)
            data_files = builder.config.data_files or {}
            if split not in data_files:
                raise SourceError(
                    f"{where}: the hub has no such split; it has: {', '.join(map(str, data_files)) or 'none'}."
                )
            resolved = [HfFileSystem().resolve_path(url) for url in data_files[split]]
            if any(not path.path_in_repo.endswith(".parquet") for path in resolved):
                raise DataError(f"{where}: not stored as Parquet, which is all that is read (no dataset scripts).")
            if resolved:
                self._revisions[spec.name] = resolved[0].revision
            return [
                hf_hub_download(path.repo_id, path.path_in_repo, repo_type="dataset", revision=path.revision)
                for path in resolved
            ]
        except (ConnectionError, HfHubHTTPError, FileNotFoundError, OSError, ValueError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise SourceError(f"{where} cannot be had: {first}\n{OFFLINE_WAYS}") from error
