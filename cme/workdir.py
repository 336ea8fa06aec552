"""Output folders: refused when they hold something else, continued when they hold the same command's unfinished work."""

import functools
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cme.errors import CMEError, UsageError
from cme.files import cannot_write, digest, read_json, write_json
from cme.locks import LOCK_FILE, locked, unlock

__all__ = ["FinishedError", "claim", "claimed", "finish", "is_finished", "release"]

_MARKER = ".cme.json"

F = TypeVar("F", bound=Callable[..., Any])


class FinishedError(UsageError):
    """There is nothing left to do."""


def _alone(function: F) -> F:
    """Let `claim` work under the folder's lock, which is then kept; it is given back if the folder is refused.

    A folder that is going to be refused, because it holds something else or is finished, is not touched.
    """

    @functools.wraps(function)
    def alone(out: Path, command: str, *args: Any, **options: Any) -> Any:
        empty = not out.exists() or (out.is_dir() and all(map(_half_a_marker, out.iterdir())))
        if not empty and (not (out / _MARKER).is_file() or is_finished(out)):
            return function(out, command, *args, **options)
        new = not out.exists()
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(out, error) from error
        locked(out, command)
        try:
            for file in out.glob(".*.tmp"):
                file.unlink(missing_ok=True)
            return function(out, command, *args, **options)
        except BaseException:
            unlock(out)
            if new and not any(out.iterdir()):
                out.rmdir()
            raise

    return alone  # type: ignore[return-value]


@_alone
def claim(
    out: Path,
    command: str,
    settings: Mapping[str, Any],
    *,
    changeable: Collection[str] = (),
    added: Collection[str] = (),
) -> bool:
    """Take an output folder for a command.

    Args:
        out: the folder; made if it is not there.
        command: such as ``build-data``.
        settings: everything that decides the outcome (JSON values). What only decides speed stays out.
        changeable: settings that may change while the work is unfinished, such as an evaluation's datasets.
        added: settings that markers of earlier versions lack. Finished work without them counts as this command's.

    Returns:
        True if the folder holds this command's unfinished work, which then continues.

    Raises:
        UsageError: the folder holds something else, or work with other settings.
        FinishedError: the folder holds this very command's finished work.
        CMEError: the folder cannot be written.

    The folder's lock (`cme.locks`) is held until `finish`, `release`, or the end of a block of `cme.locks.locks_released`. While
    another process holds it, that is a UsageError, too.
    """
    settings = json.loads(json.dumps(dict(settings), allow_nan=False))  # as the marker will give it back
    marker = out / _MARKER
    if marker.is_file():
        stored = _read(marker)
        if stored.get("command") != command:
            raise UsageError(f"{out} holds the output of 'cme {stored.get('command')}'. Give another --out.")
        old, finished = stored.get("settings") or {}, bool(stored.get("finished"))
        expected = {key: value for key, value in settings.items() if not (finished and key in added and key not in old)}
        kept = {} if finished else {key: old[key] for key in changeable if key in old}
        if stored.get("digest") not in (digest(expected), digest({**expected, **kept})):
            raise UsageError(
                f"{out} holds work with other settings ({_differences(stored, expected)}). Give another --out, or remove it."
            )
        if finished:
            raise FinishedError(
                f"{out} holds the finished output of this very command. Give another --out, or remove it to run again."
            )
        if stored["digest"] != digest(settings):
            write_json(marker, stored | {"settings": settings, "digest": digest(settings)})
        return True
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out must be a folder.")
    if out.is_dir() and any(not _half_a_marker(item) for item in out.iterdir()):
        raise UsageError(
            f"{out} is not empty and was not made by 'cme {command}'. Give another --out; nothing was changed."
        )
    write_json(marker, {"command": command, "settings": settings, "digest": digest(settings), "finished": False})
    return False


def finish(out: Path) -> None:
    """Mark a claimed folder as finished."""
    write_json(out / _MARKER, _read(out / _MARKER) | {"finished": True})
    unlock(out)


def release(out: Path) -> None:
    """Give back a folder that was claimed and holds no work yet; anything else in it stays."""
    (out / _MARKER).unlink(missing_ok=True)
    unlock(out)
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()


def is_finished(out: Path) -> bool:
    """Whether the folder holds finished work."""
    return (out / _MARKER).is_file() and bool(_read(out / _MARKER).get("finished"))


def claimed(out: Path) -> dict[str, Any]:
    """The settings of the command that took the folder; none, if the folder was never claimed.

    Raises:
        CMEError: its marker is damaged.
    """
    marker = out / _MARKER
    return dict(_read(marker)["settings"]) if marker.is_file() else {}


def _read(marker: Path) -> dict[str, Any]:
    """What a marker says.

    Raises:
        CMEError: it is damaged.
    """
    stored = read_json(marker)
    if not (
        isinstance(stored, dict)
        and isinstance(stored.get("command"), str)
        and isinstance(stored.get("settings"), dict)
        and isinstance(stored.get("digest"), str)
    ):
        raise CMEError(f"{marker} is damaged: it is no marker of an output folder. Give another --out.")
    return stored


def _half_a_marker(item: Path) -> bool:
    """Whether this is what a process leaves behind that is killed while it takes a folder."""
    return (item.name.startswith((f".{_MARKER}.", LOCK_FILE)) and item.suffix == ".tmp") or item.name == LOCK_FILE


def _differences(stored: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    old = stored.get("settings") or {}
    keys = [key for key in {**old, **settings} if old.get(key) != settings.get(key)]
    return ", ".join(f"{key}: {old.get(key)!r} there, {settings.get(key)!r} now" for key in sorted(keys)[:4]) + (
        ", …" if len(keys) > 4 else ""
    )
