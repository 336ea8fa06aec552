"""The published schema of a result: generated, and agreeing with what is written and read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import jsonschema
import pytest

from cme.records import Entry, Manifest, Result, Run, write_record
from cme.records.schema import json_schema, schema_text
from tests.records.test_records import BROKEN, RECORDS

DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED = DOCS / "result.schema.json"


@pytest.fixture(scope="module")
def published():
    return jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))


def written(record, tmp_path):
    write_record(tmp_path / "record.json", record)
    return json.loads((tmp_path / "record.json").read_text())


@pytest.mark.parametrize("cls", [Result, Entry])
def test_the_published_schema_is_that_of_this_cme(cls):
    # After a change: python -c "from cme.records import Result; from cme.records.schema import schema_text;
    # print(schema_text(Result), end='')" > docs/result.schema.json, and the same for Entry.
    assert (DOCS / f"{cls.KIND}.schema.json").read_text(encoding="utf-8") == schema_text(cls)


@pytest.mark.parametrize("cls", [Result, Run, Manifest, Entry])
def test_every_artefact_has_a_schema_that_takes_what_is_written(cls, tmp_path):
    schema = json_schema(cls)
    jsonschema.Draft202012Validator.check_schema(schema)
    for record in (record for record in RECORDS if type(record) is cls):
        jsonschema.validate(written(record, tmp_path), schema)


@pytest.mark.parametrize("change", [change for change, _ in BROKEN.values()], ids=list(BROKEN))
def test_the_schema_refuses_what_the_reader_refuses(change, published, tmp_path):
    values = written(RECORDS[0], tmp_path)
    assert published.is_valid(values)
    change(values)
    assert not published.is_valid(values)


@pytest.mark.parametrize("cls", [Result, Entry])
def test_every_field_is_explained(cls):
    schema = json_schema(cls)
    objects = {cls.__name__: schema, **schema["$defs"]}
    objects.pop("FamilyScore"), objects.pop("AdapterInfo", None)  # one sentence each
    silent = [
        f"{name}.{key}"
        for name, schema in objects.items()
        for key, value in schema["properties"].items()
        if "description" not in value and "const" not in value
    ]
    assert silent == []


def test_what_an_evaluation_writes_fits_the_published_schema(published, tmp_path):
    from cme.evaluation.run import evaluate
    from cme.evaluation.settings import EvalSettings

    wanted = EvalSettings(base="", baseline="majority", source="mini", tier="smoke", datasets=("mmlu", "nq_open"))
    evaluate(wanted, tmp_path / "out")
    published.validate(json.loads((tmp_path / "out" / "result.json").read_text()))


def test_what_submit_writes_fits_the_published_schema(tmp_path):
    from tests.leaderboard.workshop import Workshop

    workshop = Workshop(tmp_path)
    workshop.row("lora", "lora", 0.6, seeds=(0, 1), names=("qqp",))
    workshop.reference("majority", 0.3, baseline="majority", names=("qqp",))
    schema = jsonschema.Draft202012Validator(json.loads((DOCS / "entry.schema.json").read_text(encoding="utf-8")))
    for path in workshop.entries.glob("*.json"):
        schema.validate(json.loads(path.read_text()))


def test_a_type_without_a_name_in_json_is_refused():
    @dataclass
    class Strange:
        KIND: ClassVar[str] = "strange"
        SCHEMA_VERSION: ClassVar[int] = 1
        data: bytes

    with pytest.raises(TypeError, match="bytes"):
        json_schema(Strange)
