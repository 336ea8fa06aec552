"""Output folders. A command continues its own unfinished work and rejects folders with other content."""

import functools
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cme.errors import CMEError, UsageError
from cme.files import cannot_write, digest, read_json, write_json
from cme.locks import LOCK_FILE, locked, unlock

__all__ = ["FinishedError", "claim", "claimed", "finish", "is_finished", "noted", "release", "reopen"]

_MARKER = ".cme.json"

F = TypeVar("F", bound=Callable[..., Any])


class FinishedError(UsageError):
    """The folder already has the finished output of the command."""


def _alone(function: F) -> F:
    """Make `claim` run with the lock of the folder, which is then kept. The lock is released if the folder is rejected.

    A folder that is finished or has other content is rejected without a lock, so that it is not changed.
    """

    @functools.wraps(function)
    def alone(out: Path, command: str, *args: Any, **options: Any) -> Any:
        beside = options.get("beside", ())
        empty = not out.exists() or (
            out.is_dir() and all(_half_a_marker(item) or item.name in beside for item in out.iterdir())
        )
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
    notes: Mapping[str, Any] | None = None,
    beside: Collection[str] = (),
) -> bool:
    """Claim an output folder for a command.

    The lock of the folder (`cme.locks`) is held until `finish`, `release`, or the end of a block of `cme.locks.locks_released`.

    Args:
        out: the folder. It is created if it does not exist.
        command: name of the command, such as ``build-data``.
        settings: all settings that determine the result (JSON values), without those that only determine the speed.
        changeable: settings that may change while the work is unfinished, such as the datasets of an evaluation.
        added: settings that markers of earlier versions lack. Finished work without them still belongs to this command.
        notes: values to keep in the marker that do not determine the result, such as where a named source lies now.
        beside: names of files and folders that a folder without a marker may have.

    Returns:
        True if the folder has unfinished work of this command, which then continues.

    Raises:
        UsageError: the folder has other content or work with other settings, or another process holds its lock.
        FinishedError: the folder has the finished work of this command.
        CMEError: the folder cannot be written.
    """
    settings = json.loads(json.dumps(dict(settings), allow_nan=False))  # the same values as in the marker
    marker = out / _MARKER
    if marker.is_file():
        stored = _read(marker)
        if stored.get("command") != command:
            raise UsageError(f"{out} has the output of 'cme {stored.get('command')}'. Choose another --out.")
        old, finished = stored.get("settings") or {}, bool(stored.get("finished"))
        expected = {key: value for key, value in settings.items() if not (finished and key in added and key not in old)}
        kept = {} if finished else {key: old[key] for key in changeable if key in old}
        if stored.get("digest") not in (digest(expected), digest({**expected, **kept})):
            raise UsageError(
                f"{out} has work with other settings ({_differences(stored, expected)}). Choose another --out, or remove it."
            )
        if finished:
            raise FinishedError(
                f"{out} has the finished output of this command. Choose another --out, or remove the folder to run it again."
            )
        if stored["digest"] != digest(settings) or (notes and stored.get("notes") != dict(notes)):
            written = {"settings": settings, "digest": digest(settings)} | ({"notes": dict(notes)} if notes else {})
            write_json(marker, stored | written)
        return True
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file. Choose a folder for --out.")
    if out.is_dir() and any(not _half_a_marker(item) and item.name not in beside for item in out.iterdir()):
        raise UsageError(
            f"{out} is not empty and was not made by 'cme {command}'. Choose another --out. Nothing was changed."
        )
    begun = {"command": command, "settings": settings, "digest": digest(settings), "finished": False}
    write_json(marker, begun | ({"notes": dict(notes)} if notes else {}))
    return False


def finish(out: Path) -> None:
    """Mark a claimed folder as finished, and release its lock."""
    write_json(out / _MARKER, _read(out / _MARKER) | {"finished": True})
    unlock(out)


def reopen(out: Path, command: str) -> None:
    """Lock a folder whose work was finished, and mark it as unfinished, so that the command can extend its work.

    Raises:
        UsageError: another process holds the lock of the folder.
        CMEError: the folder cannot be written.
    """
    locked(out, command)
    write_json(out / _MARKER, _read(out / _MARKER) | {"finished": False})


def release(out: Path) -> None:
    """Undo the claim of a folder without work. Other files in it are not changed."""
    (out / _MARKER).unlink(missing_ok=True)
    unlock(out)
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()


def is_finished(out: Path) -> bool:
    """Return whether the folder has finished work."""
    return (out / _MARKER).is_file() and bool(_read(out / _MARKER).get("finished"))


def claimed(out: Path) -> dict[str, Any]:
    """Return the settings of the command that claimed the folder, or none if it was never claimed.

    Raises:
        CMEError: the marker is damaged.
    """
    marker = out / _MARKER
    return dict(_read(marker)["settings"]) if marker.is_file() else {}


def noted(out: Path) -> dict[str, Any]:
    """Return the notes in the marker of a claimed folder, see `claim`, or none.

    Raises:
        CMEError: the marker is damaged.
    """
    marker = out / _MARKER
    notes = _read(marker).get("notes") if marker.is_file() else None
    return dict(notes) if isinstance(notes, dict) else {}


def _read(marker: Path) -> dict[str, Any]:
    """Read a marker.

    Raises:
        CMEError: the marker is damaged.
    """
    stored = read_json(marker)
    if not (
        isinstance(stored, dict)
        and isinstance(stored.get("command"), str)
        and isinstance(stored.get("settings"), dict)
        and isinstance(stored.get("digest"), str)
    ):
        raise CMEError(f"{marker} is damaged, because it is not a marker of an output folder. Choose another --out.")
    return stored


def _half_a_marker(item: Path) -> bool:
    """Return whether a file is one that a process leaves if it is killed while it claims a folder."""
    return (item.name.startswith((f".{_MARKER}.", LOCK_FILE)) and item.suffix == ".tmp") or item.name == LOCK_FILE


def _differences(stored: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    old, settings = dict(_flat(stored.get("settings") or {})), dict(_flat(settings))
    # A value of None is a default or a setting of another method, and says little.
    differing = [key for key in {**old, **settings} if old.get(key) != settings.get(key)]
    keys = [key for key in differing if old.get(key) is not None and settings.get(key) is not None] or differing
    return ", ".join(f"{key}: {_change(old.get(key), settings.get(key))}" for key in sorted(keys)[:4]) + (
        ", …" if len(keys) > 4 else ""
    )


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield settings with those of settings that have settings themselves, under names such as ``evaluation.source``."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and not _are_digests(value):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, value


def _change(old: Any, new: Any) -> str:
    """Describe a setting that differs. For digests by name, such as those of datasets, the names are enough."""
    if not (_are_digests(old) and _are_digests(new)):
        return f"{old!r} there, {new!r} now"
    groups = {
        "only there": old.keys() - new.keys(),
        "only now": new.keys() - old.keys(),
        "of another version": {name for name in old.keys() & new.keys() if old[name] != new[name]},
    }
    return "; ".join(f"{', '.join(sorted(names))} {what}" for what, names in groups.items() if names)


def _are_digests(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(item, str) and len(item) == 64 for item in value.values())
