"""Adapter settings that were given as keyword arguments, in the form of a recipe's ``adapter`` section."""

from collections.abc import Mapping
from typing import Any

from cme.api.call import StrPath, path
from cme.errors import UsageError

__all__ = ["given"]


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
