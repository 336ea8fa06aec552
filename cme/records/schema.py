"""JSON schemas of the artefacts, which are generated from their classes and published as ``docs/*.schema.json``.

After a change, update the files with ``python -m cme.records.schema docs``.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from cme.files import write_text
from cme.records.analysis import Analysis
from cme.records.base import Artefact
from cme.records.entry import Entry
from cme.records.export import Export
from cme.records.grid import Grid
from cme.records.images import ImageResult
from cme.records.manifest import Manifest
from cme.records.result import Result
from cme.records.run import Run

__all__ = ["SCHEMAS", "json_schema", "schema_text"]

SCHEMAS: dict[str, type[Artefact]] = {
    "analysis.schema.json": Analysis,
    "entry.schema.json": Entry,
    "export.schema.json": Export,
    "grid.schema.json": Grid,
    "image-result.schema.json": ImageResult,
    "manifest.schema.json": Manifest,
    "result.schema.json": Result,
    "run.schema.json": Run,
}
"""The class of each published schema file."""


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """Add no titles to fields, because their names suffice."""
        return False


def json_schema(cls: type[Artefact]) -> dict[str, Any]:
    """Return the schema (draft 2020-12) of the JSON files that `cme.records.write_record` writes.

    Args:
        cls: class of the artefact.
    """
    generated = cls.model_json_schema(schema_generator=_Generator)
    head = {"kind": {"const": cls.KIND}, "schema_version": {"const": cls.SCHEMA_VERSION}}
    return {
        "$schema": _Generator.schema_dialect,
        "title": f"CME {cls.KIND}, schema version {cls.SCHEMA_VERSION}",
        "description": generated["description"],
        "type": "object",
        "properties": head | generated["properties"],
        "required": [*head, *generated.get("required", ())],
        "additionalProperties": False,
        "$defs": dict(sorted(generated.get("$defs", {}).items())),
    }


def schema_text(cls: type[Artefact]) -> str:
    """Return `json_schema` as the text of a file."""
    return json.dumps(json_schema(cls), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, cls in SCHEMAS.items():
        write_text(Path(sys.argv[1]) / name, schema_text(cls))
