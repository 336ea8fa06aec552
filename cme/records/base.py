"""Base classes of all records, and functions that read and write them."""

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import Field, GetJsonSchemaHandler, ModelWrapValidatorHandler, ValidationInfo, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from cme.config import FROM_FILE, Model, build
from cme.errors import CMEError
from cme.files import read_json, write_json
from cme.records.docstrings import attributes, summary

__all__ = [
    "Amount",
    "Artefact",
    "Count",
    "PartialRecord",
    "Positive",
    "Record",
    "read_record",
    "versions",
    "write_record",
]

Count = Annotated[int, Field(ge=0)]
"""A whole number that may be 0."""

Positive = Annotated[int, Field(gt=0)]
"""A whole number above 0."""

Amount = Annotated[float, Field(ge=0)]
"""A number that may be 0."""

A = TypeVar("A", bound="Artefact")


class _Written(Model):
    """Base class of records and partial records."""

    def plain(self) -> dict[str, Any]:
        """Return the record as plain values, as `write_record` writes it. Keys that were absent in the file stay absent."""
        return self.model_dump(exclude_unset=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the descriptions in the docstring to the schema."""
        generated = handler(schema)
        inner = handler.resolve_ref_schema(generated)
        inner["description"] = summary(cls)
        keys = {name: str(field.validation_alias or name) for name, field in cls.model_fields.items()}
        for name, text in attributes(cls).items():
            if (key := keys.get(name, name)) in inner.get("properties", {}):
                inner["properties"][key]["description"] = text
        return generated


class Record(_Written):
    """Base class of records.

    A record that was constructed in Python is written with all its fields. A record that was read from a file is written with
    the keys of that file, so reading and writing an older file does not change it.

    Attributes:
        LEFT_OUT: names of fields that are not written if they are None.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ()

    def replace(self, **changes: Any) -> Self:
        """Return a copy in which some fields have other values; the new values are validated."""
        return type(self)(**{**dict(self), **changes})

    @model_validator(mode="after")
    def _all_given(self, info: ValidationInfo) -> Self:
        if info.context is not FROM_FILE:
            absent = {name for name in self.LEFT_OUT if getattr(self, name) is None}
            self.model_fields_set.update(type(self).model_fields)
            self.model_fields_set.difference_update(absent)
        return self


class PartialRecord(_Written):
    """Base class of records inside other records whose keys may be absent.

    Absent keys stay absent when the record is written, and the keys keep their order. A partial record without keys is false.
    """

    def __bool__(self) -> bool:
        """Return whether any key was given."""
        return bool(self.model_fields_set)

    @model_validator(mode="wrap")
    @classmethod
    def _in_given_order(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        made = handler(values)
        if isinstance(values, Mapping):
            fields = vars(made)
            ordered = {name: fields[name] for name in (*values, *fields) if name in fields}
            object.__setattr__(made, "__dict__", ordered)
        return made


class Artefact(Record):
    """Base class of a record that has a file of its own.

    Attributes:
        KIND: value of the file's key ``kind``.
        SCHEMA_VERSION: version of the record's schema.
    """

    KIND: ClassVar[str]
    SCHEMA_VERSION: ClassVar[int]


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
    """Return the versions of CME, Python and the libraries that affect results, without importing the libraries."""
    import cme

    known = {"cme": cme.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return known


_WRITERS = {
    "analysis": "cme analyse",
    "export": "cme export-lora",
    "image-result": "cme eval-images",
    "result": "cme eval",
    "run": "cme train",
    "lr-grid": "cme train --lr-grid",
}
"""The commands that write a folder with a record, by the record's kind."""


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def write_record(path: Path, record: Artefact) -> None:
    """Write a record atomically as JSON. Its ``kind`` and ``schema_version`` come first."""
    head = {"kind": record.KIND, "schema_version": record.SCHEMA_VERSION}
    write_json(path, head | record.plain())


def read_record(path: Path, cls: type[A]) -> A:
    """Read and validate a record.

    Args:
        path: the JSON file.
        cls: the record's class.

    Raises:
        CMEError: the file is missing or damaged, or has another kind or schema version.
    """
    if cls.KIND in _WRITERS and _is_missing(path):
        raise CMEError(f"{path} does not exist. Give a folder that '{_WRITERS[cls.KIND]}' wrote.")
    values = read_json(path)
    if not isinstance(values, Mapping) or values.get("kind") != cls.KIND:
        kind = values.get("kind") if isinstance(values, Mapping) else type(values).__name__
        article = "an" if cls.KIND[0] in "aeiou" else "a"
        raise CMEError(f"{path} is not {article} {cls.KIND} record; its kind is {kind!r}.")
    if values.get("schema_version") != cls.SCHEMA_VERSION:
        raise CMEError(
            f"{path} has schema version {values.get('schema_version')}, but this version of CME reads version "
            f"{cls.SCHEMA_VERSION}. Create the file again with this version of CME."
        )
    body = {key: value for key, value in values.items() if key not in ("kind", "schema_version")}
    return build(cls, body, str(path), error=CMEError)
