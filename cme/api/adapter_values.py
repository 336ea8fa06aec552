"""Adapters that were given as arguments: their settings, in the form of a recipe's ``adapter`` section, or their folder."""

import os
from collections.abc import Mapping
from typing import Any

from cme.api.call import StrPath, path
from cme.errors import UsageError
from cme.records import chosen_run

__all__ = ["adapter_folder", "given"]


def adapter_folder(adapter: StrPath) -> str:
    """Return an adapter's folder or hub id as text. The folder of a learning-rate grid stands for its best run."""
    text, folder = os.fspath(adapter), path(adapter)
    chosen = chosen_run(folder)
    return text if chosen == folder else str(chosen)


def given(*, peft_config: StrPath | None, **values: Any) -> dict[str, Any]:
    """Collect the settings that are not None. They override the configuration in a file.

    Args:
        peft_config: YAML file with a ``peft_type`` and fields of that type, or None.
        values: settings by their names in a recipe.

    Returns:
        The settings, without those that are None.

    Raises:
        UsageError: if a file and another method are given, or the file holds no configuration.
    """
    ready = {key: _plain(value) for key, value in values.items() if value is not None}
    if peft_config is None:
        return ready
    from cme.adapters.peft_methods import read_peft_config

    if (method := ready.get("method", "peft")) != "peft":
        raise UsageError(f"peft_config and method {method!r} cannot be combined. Give one of them.")
    read = read_peft_config(path(peft_config))
    return read | ready | {"options": read["options"] | ready.get("options", {})}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
