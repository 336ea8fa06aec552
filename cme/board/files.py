"""Files of a board's folders, which people may have changed."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.files import read_json

__all__ = ["damage_reported", "read_mapping"]


def read_mapping(file: Path) -> Mapping[str, Any]:
    """Read a JSON object.

    Raises:
        CMEError: the file is not valid JSON, or has another value.
    """
    values = read_json(file)
    if not isinstance(values, Mapping):
        raise CMEError(f"{file} is damaged, because it has no JSON object. Restore or remove it.")
    return values


@contextlib.contextmanager
def damage_reported(file: Path) -> Iterator[None]:
    """Report values that are missing or have another type in a file.

    Raises:
        CMEError: there are such values.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        raise CMEError(
            f"{file} is damaged, because values are missing or have another type. Restore or remove it."
        ) from error
