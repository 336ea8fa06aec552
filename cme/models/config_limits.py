"""Checks the sizes in a model's ``config.json``, because building a model with absurd sizes would exhaust time and memory."""

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
    """Check the sizes in a ``config.json``, including nested configurations such as ``text_config``.

    Raises:
        SourceError: if the file is missing, is not a JSON object, or has a size beyond the limits.
    """
    values = read_json(path, error=SourceError)
    if not isinstance(values, Mapping):
        raise SourceError(f"{path} is not a model configuration: it is not a JSON object. Download the model again.")
    for name, size in _sizes(values):
        last = name.rpartition(".")[2]
        for pattern, most in ((_LAYERS, CONFIG_LAYERS), (_EXPERTS, CONFIG_EXPERTS), (_WIDTH, CONFIG_WIDTH)):
            if pattern.search(last) and size > most:
                raise SourceError(
                    f"{path}: {name[:100]!a} is {size:,}, but at most {most:,} is allowed. Check whether the file is damaged."
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
