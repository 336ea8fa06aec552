"""Files that are either whole or absent: written to a temporary name, fsynced, renamed."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cme.errors import CMEError

__all__ = ["atomic_path", "digest", "read_json", "sha256_file", "write_json", "write_text"]


@contextmanager
def atomic_path(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is fsynced and renamed to ``path``, on failure removed.

    Args:
        path: the file to write.
        durable: whether it must outlive a power failure; work files that are checked before they are used again need not.

    Raises:
        CMEError: the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise CMEError(
            f"cannot write {path}: {error.strerror or error}. Choose another folder or free some room."
        ) from error
    temporary = Path(name)
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CMEError(
            f"cannot write {path}: {error.strerror or error}. Free some room and run the command again."
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write ``text`` (UTF-8) so that ``path`` is never half there."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write ``value`` as indented JSON with a final newline; NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", durable=durable)


def read_json(path: Path) -> Any:
    """Read a JSON file; NaN and infinity, which are no JSON, are refused, and so is a key that stands twice.

    Raises:
        CMEError: the file is missing, cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse, object_pairs_hook=_once)
    except FileNotFoundError:
        raise CMEError(f"{path} does not exist.") from None
    except OSError as error:
        raise CMEError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise CMEError(f"{path} is not valid JSON ({error}). It may be damaged: make it again.") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What a reader of the file sees first must not be another value than the one that is used."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it holds {next(name for name in names if names.count(name) > 1)[:100]!a} twice in one place")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """SHA-256 (hex) of a JSON value in canonical form: the same value gives the same digest everywhere."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
