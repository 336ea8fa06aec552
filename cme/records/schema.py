"""A record's dataclass → its JSON schema (draft 2020-12), with the words of its docstrings."""

import inspect
import json
import re
import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

__all__ = ["json_schema", "schema_text"]

_SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def json_schema(cls: Any) -> dict[str, Any]:
    """The schema of the JSON file that `cme.records.write_record` writes of a record.

    Args:
        cls: one of the artefacts' dataclasses, with ``KIND`` and ``SCHEMA_VERSION``.

    Raises:
        TypeError: a field has a type that JSON has no name for.
    """
    nested: dict[str, Any] = {}
    body = _object(cls, nested)
    head = {"kind": {"const": cls.KIND}, "schema_version": {"const": cls.SCHEMA_VERSION}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"CME {cls.KIND}, schema version {cls.SCHEMA_VERSION}",
        **body,
        "properties": head | body["properties"],
        "required": [*head, *body["required"]],
        "$defs": dict(sorted(nested.items())),
    }


def schema_text(cls: Any) -> str:
    """`json_schema` as the text of a file."""
    return json.dumps(json_schema(cls), indent=2, ensure_ascii=False) + "\n"


def _object(cls: Any, nested: dict[str, Any]) -> dict[str, Any]:
    said, told = _docstring(cls)
    hints = get_type_hints(cls)
    properties = {
        field.name: _type(hints[field.name], nested) | ({"description": told[field.name]} if field.name in told else {})
        for field in fields(cls)
    }
    needed = [field.name for field in fields(cls) if field.default is MISSING and field.default_factory is MISSING]
    return {
        "description": said,
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
    }


def _type(hint: Any, nested: dict[str, Any]) -> dict[str, Any]:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in nested:
            nested[hint.__name__] = _object(hint, nested)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(option, nested) for option in inner]}
    if origin is tuple and inner[1:] == (...,):
        return {"type": "array", "items": _type(inner[0], nested)}
    if origin is dict and inner[0] is str:
        return {"type": "object", "additionalProperties": _type(inner[1], nested)}
    raise TypeError(f"no JSON schema for the type {hint}")


def _docstring(cls: Any) -> tuple[str, dict[str, str]]:
    """The text before ``Attributes:``, and what is said of each attribute."""
    text = inspect.cleandoc(cls.__doc__ or "")
    summary, _, attributes = text.partition("\n\nAttributes:\n")
    return _one_line(summary), {name: _one_line(words) for name, words in _ATTRIBUTE.findall(attributes)}


def _one_line(text: str) -> str:
    return " ".join(text.split())
