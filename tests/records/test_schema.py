"""The published schemas: generated, and agreeing with what is written and read."""

import json
from pathlib import Path

import jsonschema
import pytest

from cme.paths import leaderboards_dir
from cme.records import Entry, Grid, GridRun, Manifest, Result, Run, write_record
from cme.records.schema import SCHEMAS, json_schema, schema_text
from tests.records.test_records import BROKEN, RECORDS

DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED = DOCS / "result.schema.json"


@pytest.fixture(scope="module")
def published():
    return jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))


def written(record, tmp_path):
    write_record(tmp_path / "record.json", record)
    return json.loads((tmp_path / "record.json").read_text())


GRID = Grid(
    method="lora",
    steps=3,
    runs=[GridRun(learning_rate=1e-4, folder="lr-1e-04", validation_loss=2.5, last_loss=2.4, problem=None)],
    best=None,
    learning_rate=None,
)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_published_schemas_are_those_of_this_cme(name):
    # After a change: python -m cme.records.schema docs
    assert (DOCS / name).read_text(encoding="utf-8") == schema_text(SCHEMAS[name])


@pytest.mark.parametrize("cls", [Result, Run, Manifest, Entry, Grid])
def test_every_artefact_has_a_schema_that_takes_what_is_written(cls, tmp_path):
    schema = json_schema(cls)
    jsonschema.Draft202012Validator.check_schema(schema)
    records = [record for record in (*RECORDS, GRID) if type(record) is cls]
    assert records
    for record in records:
        jsonschema.validate(written(record, tmp_path), schema)


@pytest.mark.parametrize("path", sorted((leaderboards_dir() / "demo" / "entries").glob("*.json")), ids=lambda p: p.stem)
def test_the_demo_entries_fit_the_published_schema(path):
    jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), json_schema(Entry))


@pytest.mark.parametrize("change", [change for change, _ in BROKEN.values()], ids=list(BROKEN))
def test_the_schema_refuses_what_the_reader_refuses(change, published, tmp_path):
    values = written(RECORDS[0], tmp_path)
    assert published.is_valid(values)
    change(values)
    assert not published.is_valid(values)


@pytest.mark.parametrize("cls", SCHEMAS.values())
def test_every_field_is_explained(cls):
    schema = json_schema(cls)
    objects = {cls.__name__: schema, **schema["$defs"]}
    for name in ("FamilyScore", "AdapterInfo"):  # one sentence each
        objects.pop(name, None)
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
