"""The JSON schemas of the artefacts, generated from their classes; ``docs/*.schema.json`` holds them.

``python -m cme.records.schema docs`` writes them again after a change.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from cme.files import write_text
from cme.records.base import Artefact
from cme.records.entry import Entry
from cme.records.grid import Grid
from cme.records.manifest import Manifest
from cme.records.result import Result
from cme.records.run import Run

__all__ = ["SCHEMAS", "json_schema", "schema_text"]

SCHEMAS: dict[str, type[Artefact]] = {
    "entry.schema.json": Entry,
    "grid.schema.json": Grid,
    "manifest.schema.json": Manifest,
    "result.schema.json": Result,
    "run.schema.json": Run,
}
"""Name of a published file → the class that it describes."""


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """The name of a field is title enough."""
        return False


def json_schema(cls: type[Artefact]) -> dict[str, Any]:
    """The schema (draft 2020-12) of the JSON file that `cme.records.write_record` writes of a record.

    Args:
        cls: the class of the artefact.
    """
    made = cls.model_json_schema(schema_generator=_Generator)
    head = {"kind": {"const": cls.KIND}, "schema_version": {"const": cls.SCHEMA_VERSION}}
    return {
        "$schema": _Generator.schema_dialect,
        "title": f"CME {cls.KIND}, schema version {cls.SCHEMA_VERSION}",
        "description": made["description"],
        "type": "object",
        "properties": head | made["properties"],
        "required": [*head, *made.get("required", ())],
        "additionalProperties": False,
        "$defs": dict(sorted(made.get("$defs", {}).items())),
    }


def schema_text(cls: type[Artefact]) -> str:
    """`json_schema` as the text of a file."""
    return json.dumps(json_schema(cls), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, cls in SCHEMAS.items():
        write_text(Path(sys.argv[1]) / name, schema_text(cls))
