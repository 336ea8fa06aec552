"""A model's ``config.json`` before anything is built from it: sizes that no model has would take hours and all memory."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cme.errors import SourceError
from cme.readers.json_file import read_json
from cme.readers.limits import CONFIG_EXPERTS, CONFIG_LAYERS, CONFIG_WIDTH

__all__ = ["check_config"]

_LAYERS = re.compile(r"(^|_)(n_?)?(layers?|blocks?|depth)(_|$)")
_EXPERTS = re.compile(r"(^|_)experts?(_|$)")
_WIDTH = re.compile(r"(^|_)(size|dim|heads?|embd|model|ff|ffn|inner|channels|width|rank)$")


def check_config(path: Path) -> None:
    """Check the sizes in a ``config.json``, those of parts (``text_config``) included.

    Raises:
        SourceError: it is missing, is no JSON mapping, or has a size that no model has.
    """
    values = read_json(path, error=SourceError)
    if not isinstance(values, Mapping):
        raise SourceError(f"{path} is not a model configuration: it does not hold a mapping.")
    for name, size in _sizes(values):
        last = name.rpartition(".")[2]
        for pattern, most in ((_LAYERS, CONFIG_LAYERS), (_EXPERTS, CONFIG_EXPERTS), (_WIDTH, CONFIG_WIDTH)):
            if pattern.search(last) and size > most:
                raise SourceError(
                    f"{path}: {name[:100]!a} is {size:,}; CME builds models of up to {most:,}. The file may be damaged."
                )


def _sizes(values: Any, where: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _sizes(value, f"{where}.{key}" if where else str(key))
    elif isinstance(values, list):
        for item in values:
            yield from _sizes(item, where)
    elif isinstance(values, int) and not isinstance(values, bool):
        yield where, values
