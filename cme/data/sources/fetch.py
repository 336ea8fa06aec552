"""Download of one file from the hub, which continues interrupted downloads and checks size and checksum."""

import os
from collections.abc import Callable
from pathlib import Path

from cme.data.sources.lock import LockedFile
from cme.data.sources.retry import back_off, unreachable
from cme.errors import SourceError
from cme.files import cannot_write

__all__ = ["fetch", "partial_path"]


def partial_path(target: Path, file: LockedFile) -> Path:
    """Return the path of an unfinished download. It is different for every content of the file."""
    return target.with_name(f".{target.name}.{file.checksum[-12:]}.part")


def fetch(hub_id: str, revision: str, file: LockedFile, target: Path, advance: Callable[[int], None]) -> None:
    """Download a file, or continue an interrupted download.

    `huggingface_hub.hf_hub_download` restarts a file in every process. Files of the suite can have hundreds of megabytes.

    Args:
        hub_id: the dataset repository.
        revision: the commit.
        file: the file in the repository.
        target: path of the local file, which exists only when it is complete and correct.
        advance: called with numbers of received bytes. A negative number means that bytes are received again.

    Raises:
        SourceError: the hub does not provide the file, or sends another size or checksum than it states.
        CMEError: the disk is full or the folder cannot be written.
    """
    partial = partial_path(target, file)
    where = f"hub:{hub_id}/{file.path}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            _receive(hub_id, revision, file, partial, advance)
            if _size(partial) == file.size and file.matches(partial):
                return _finish(partial, target)
            advance(-_size(partial))
            partial.unlink()
    except OSError as error:
        if error.errno is None:
            raise unreachable(where, hub_id, error) from error
        raise cannot_write(target, error, kept="downloaded data is kept") from error
    except Exception as error:
        raise unreachable(where, hub_id, error) from error
    raise SourceError(
        f"{where}: two downloads do not have the size and checksum on the hub ({file.size:,} bytes, {file.checksum}). Run the "
        "command again later, use a network without a proxy, or update the commit with 'cme download --update-lock'."
    )


def _receive(hub_id: str, revision: str, file: LockedFile, partial: Path, advance: Callable[[int], None]) -> None:
    """Append to the partial file until it is complete. Only failures without progress count as attempts."""
    advance(_size(partial))
    attempt, connected = 0, False
    while (before := _size(partial)) < file.size:
        try:
            return _stream(hub_id, revision, file, partial, advance)
        except Exception as error:
            progress = _size(partial) > before
            attempt, connected = (1 if progress else attempt + 1), connected or progress
            back_off(error, attempt, connected=connected)


def _stream(hub_id: str, revision: str, file: LockedFile, partial: Path, advance: Callable[[int], None]) -> None:
    """Append the bytes that the hub sends, and stop at most one byte beyond the size of the file."""
    from huggingface_hub import constants, get_session, hf_hub_url, hf_raise_for_status
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    have = _size(partial)
    wanted = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    url = hf_hub_url(hub_id, file.path, repo_type="dataset", revision=revision)
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=build_hf_headers(headers=wanted), timeout=timeout) as response:
        hf_raise_for_status(response)
        continued = response.status_code == 206
        if not continued:
            advance(-have)
        with partial.open("ab" if continued else "wb") as opened:
            missing = file.size - (have if continued else 0)
            for chunk in response.iter_bytes():
                if len(chunk) > missing:
                    # The file then has the wrong size, which the caller detects.
                    opened.write(chunk[: missing + 1])
                    advance(min(len(chunk), missing + 1))
                    return
                opened.write(chunk)
                advance(len(chunk))
                missing -= len(chunk)


def _finish(partial: Path, target: Path) -> None:
    with partial.open("rb+") as opened:
        os.fsync(opened.fileno())
    partial.replace(target)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
