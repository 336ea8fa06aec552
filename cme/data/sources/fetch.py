"""One file of the hub → a file here: continued where it stopped, and checked against what the hub states."""

import os
from collections.abc import Callable
from pathlib import Path

from cme.data.sources.lock import LockedFile
from cme.data.sources.retry import back_off, unreachable
from cme.errors import SourceError
from cme.files import cannot_write

__all__ = ["fetch", "partial_path"]


def partial_path(target: Path, file: LockedFile) -> Path:
    """Where a file lies while it comes; one of other content lies elsewhere."""
    return target.with_name(f".{target.name}.{file.checksum[-12:]}.part")


def fetch(hub_id: str, revision: str, file: LockedFile, target: Path, advance: Callable[[int], None]) -> None:
    """Download a file; what an interrupted call has fetched is continued by the next.

    `huggingface_hub.hf_hub_download` starts a file anew in every process; these files are hundreds of megabytes.

    Args:
        hub_id: the dataset repository.
        revision: the commit.
        file: the file in it.
        target: where it goes; it is there only when whole and right.
        advance: is told how many bytes have come (negative: some have to come again).

    Raises:
        SourceError: the hub does not give the file, or another one than it states.
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
        raise cannot_write(target, error, kept="what has been fetched is kept") from error
    except Exception as error:
        raise unreachable(where, hub_id, error) from error
    raise SourceError(
        f"{where}: two downloads differ from what the hub states ({file.size:,} bytes, {file.checksum}). A proxy may have "
        "changed it; run the command again later, or look the commit up again with 'cme download --update-lock'."
    )


def _receive(hub_id: str, revision: str, file: LockedFile, partial: Path, advance: Callable[[int], None]) -> None:
    """Append to the partial file until it has its size; only failures without any progress are counted."""
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
    """Append what the hub sends, and not a byte beyond the file's size."""
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
            room = file.size - (have if continued else 0)
            for chunk in response.iter_bytes():
                if len(chunk) > room:
                    # The file is then of the wrong size or content, which the caller sees.
                    opened.write(chunk[: room + 1])
                    advance(min(len(chunk), room + 1))
                    return
                opened.write(chunk)
                advance(len(chunk))
                room -= len(chunk)


def _finish(partial: Path, target: Path) -> None:
    with partial.open("rb+") as opened:
        os.fsync(opened.fileno())
    partial.replace(target)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
