"""What the four artefacts share: a kind, a schema version, and one way to write and read."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from cme.config import from_mapping
from cme.errors import CMEError
from cme.files import read_json, write_json

__all__ = ["read_record", "versions", "write_record"]

T = TypeVar("T")

_PACKAGES = (
    "accelerate",
    "datasets",
    "lm_eval",
    "numpy",
    "peft",
    "pyarrow",
    "rouge-score",
    "tokenizers",
    "torch",
    "transformers",
)


def versions() -> dict[str, str]:
    """Versions of CME, Python and the libraries that results depend on (without importing them)."""
    import cme

    found = {"cme": cme.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write_record(path: Path, record: Any) -> None:
    """Write a record dataclass as JSON, whole or not at all; its ``kind`` and ``schema_version`` come first."""
    head = {"kind": record.KIND, "schema_version": record.SCHEMA_VERSION}
    write_json(path, head | dataclasses.asdict(record))


def read_record(path: Path, cls: type[T]) -> T:
    """Read and validate a record.

    Args:
        path: the JSON file.
        cls: the record's dataclass.

    Raises:
        CMEError: the file is missing, damaged, of another kind or of another schema version.
    """
    values = read_json(path)
    kind, version = cls.KIND, cls.SCHEMA_VERSION  # type: ignore[attr-defined]
    if not isinstance(values, Mapping) or values.get("kind") != kind:
        found = values.get("kind") if isinstance(values, Mapping) else type(values).__name__
        raise CMEError(f"{path} is no {kind} (it says {found!r}).")
    if values.get("schema_version") != version:
        raise CMEError(
            f"{path} has schema version {values.get('schema_version')}; this CME reads version {version}. Make it again."
        )
    body = {key: value for key, value in values.items() if key not in ("kind", "schema_version")}
    return _build(cls, body, str(path))


def _build(cls: type[T], values: Any, where: str) -> T:
    if not isinstance(values, Mapping):
        raise CMEError(f"{where}: expected a mapping, found {values!r}.")
    hints = get_type_hints(cls)
    ready = {key: _nested(value, hints.get(key), f"{where}: {key}") for key, value in values.items()}
    return from_mapping(cls, ready, where, error=CMEError)


def _nested(value: Any, hint: Any, where: str) -> Any:
    """Turn mappings into the record dataclasses that the type ``hint`` names (directly, in a tuple, in a dict, or optional)."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return _build(hint, value, where)
    inner = [option for option in get_args(hint) if dataclasses.is_dataclass(option)]
    if len(inner) == 1 and isinstance(inner[0], type):
        if isinstance(value, list):
            return tuple(_build(inner[0], item, where) for item in value)
        if isinstance(value, Mapping):
            if getattr(hint, "__origin__", None) is dict:
                return {key: _build(inner[0], item, f"{where}.{key}") for key, item in value.items()}
            return _build(inner[0], value, where)
    return value
