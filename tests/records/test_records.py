"""The four artefacts: what is written is read, and what is not one is refused in words."""

import json
import math
import types
import typing
from dataclasses import fields

import pyarrow
import pytest

import cme
from cme.adapters import AdapterSettings
from cme.errors import CMEError
from cme.paths import leaderboards_dir
from cme.problems import stripped
from cme.records import (
    AdapterInfo,
    AdapterRecord,
    Cost,
    DatasetScore,
    Drift,
    Entry,
    EntryPromptVariant,
    EntryRun,
    FamilyScore,
    LossChange,
    Manifest,
    MixDataset,
    Result,
    Retention,
    RowLook,
    RowSelection,
    Run,
    Scores,
    SoftDatasetScore,
    SoftScores,
    TrainingRecord,
    read_record,
    versions,
    write_record,
)
from cme.records.manifest import Rebuilt
from cme.records.run import SavedCheck
from cme.training import TrainSettings
from cme.training.settings import stored

_SAMPLES = {"int": 3, "float": 0.25, "str": "text", "bool": True, "None": None}

SCORES = Scores(
    datasets=(
        DatasetScore(
            dataset="qqp",
            family="paraphrase_detection",
            metric="acc",
            n=4,
            clusters=4,
            value=0.75,
            stderr=0.25,
            chance=0.5,
            metrics={"acc": 0.75, "f1": 1.0},
            subsets={},
            diagnostics={"cut": 0, "answers": {"1": 4}},
        ),
    ),
    families=(FamilyScore(family="paraphrase_detection", value=75.0, stderr=None),),
    average=75.0,
    average_stderr=None,
    chance_normalised=50.0,
    without_rouge=None,
    complete=False,
    soft=SoftScores(
        datasets=(SoftDatasetScore(dataset="qqp", value=0.6, stderr=None),),
        families=(FamilyScore(family="paraphrase_detection", value=60.0, stderr=None),),
        average=60.0,
        average_stderr=None,
    ),
)

RETENTION = Retention(
    base_fingerprint="b" * 64,
    drift=Drift(value=0.2, stderr=0.1, tokens=128, texts=(0.1, 0.3), texts_sha256="c" * 64),
    loss=LossChange(
        value=-0.5,
        stderr=0.5,
        text="wiki",
        text_sha256="d" * 64,
        tokens=255,
        base=(2.0, 3.0),
        adapted=(2.0, 2.0),
    ),
    remark="",
)

MIX_DATASET = MixDataset(
    family="paraphrase_detection",
    licence="Quora",
    read=10,
    dropped={"no label": 1},
    conflicting=2,
    duplicates=1,
    leaks={"qqp": 1},
    validation=1,
    available=4,
    rows=4,
    missing=("qqp/train.parquet",),
    provenance={"revision": "abc"},
)

ROWS = RowSelection.of(
    rule="precision",
    stopped="precise",
    half_width=0.5,
    alpha=0.05,
    reached=0.49,
    chosen_by=("f" * 64,),
    counts={"qqp": 80},
    available={"qqp": 500},
    prices={"qqp": 61.5},
    looks=(RowLook(rows={"qqp": 64}, half_width=0.6), RowLook(rows={"qqp": 80}, half_width=0.49)),
)

NESTED = {
    "scores": SCORES,
    "adapter": AdapterInfo(path="runs/x", method="LORA", fingerprint="f" * 64, changes_output=True),
    "datasets": {"qqp": MIX_DATASET},
    "recipe": {"learning_rate": 2e-4, "epochs": None},
    "settings": {"method": "lora", "rank": 8},
    "training": {"data": "mix", "seed": 0, "epochs": None},
    "lr_grid": None,
    "cost_ratios": {"train": {"value": 1.25, "low": 1.2, "high": None}, "threads": 2},
    "mix_compared": {"qqp": (), "anli": ("anli/test_r2.parquet",)},
    "mix_partial": {"race": {"RACE/test.parquet": "a" * 64}},
    "partial": {"race": {"RACE/test.parquet": "a" * 64}},
    "unchecked": {"anli": ("anli/test_r2.parquet",)},
    "overlap": {"qqp": {"paws": {"exact": 2}}},
    "losses": ([1, 2.5], [100, 1.5]),
    "runs": (
        EntryRun(seed=0, scores=SCORES, samples_sha256="f" * 64, cost={"steps": 3}, provenance={}, retention=RETENTION),
        EntryRun(seed=None, scores=SCORES, samples_sha256="e" * 64, cost={}, provenance={"missing": ["qqp"]}),
    ),
    "rebuilt": Rebuilt(source="hub", provenance={"qqp": {"revision": "abc"}}, ids="f" * 64, fingerprint="e" * 64),
    "retention": RETENTION,
    "saved_check": SavedCheck(trainable=12, changed=12, effect=0.4, cme=1e-7, peft=None),
    "prompt_variants": (EntryPromptVariant(prompt_variant=1, seed=0, average=55.5, samples_sha256="f" * 64),),
}
"""Values for the fields whose type does not tell one."""


def value(name, hint):
    """A value for a field, made from its type."""
    if "RowSelection" in str(hint):
        return ROWS
    if name in NESTED:
        return NESTED[name]
    hint = stripped(hint)[0]
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = stripped(typing.get_args(hint)[0])[0]
    text = str(hint).removeprefix("<class '").removesuffix("'>")
    if "tuple[str" in text:
        return ("one", "two")
    if text.startswith("dict"):
        return {"key": 1.5 if "float" in text else 2 if "int" in text else "text"}
    return _SAMPLES[text.split(" | ")[0]]


def make(cls, **changes):
    fields = {name: value(name, field.annotation) for name, field in cls.model_fields.items()}
    if cls is Run:
        fields["adapter"] = {"rank": 8, "target_modules": ["up_proj"]}
    if cls is Result:
        fields["provenance"] = {"qqp": {"revision": "abc"}}
    return cls(**fields | changes)


RECORDS = [
    make(Result),
    make(Result, adapter=None),
    make(Run),
    make(Manifest),
    make(Manifest, tokens=None),
    make(Entry),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.KIND)
def test_what_is_written_is_read(tmp_path, record):
    path = tmp_path / "record.json"
    write_record(path, record)
    assert read_record(path, type(record)) == record
    raw = json.loads(path.read_text())
    assert list(raw)[:2] == ["kind", "schema_version"]
    assert (raw["kind"], raw["schema_version"]) == (type(record).KIND, type(record).SCHEMA_VERSION)


def test_each_record_has_its_own_kind():
    assert sorted({type(record).KIND for record in RECORDS}) == ["entry", "manifest", "result", "run"]


@pytest.fixture
def edited(tmp_path):
    """A function that writes a result, changes the JSON, and reads it as one."""

    def load(change, cls=Result):
        path = tmp_path / "result.json"
        write_record(path, RECORDS[0])
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))
        return read_record(path, cls)

    return load


def test_the_file_as_it_was_written_is_a_result(edited):
    assert edited(lambda values: None) == RECORDS[0]


BROKEN = {
    "another kind": (lambda v: v.update(kind="run"), "is not a result record; its kind is 'run'"),
    "no kind": (lambda v: v.pop("kind"), "is not a result record; its kind is None"),
    "a newer schema": (
        lambda v: v.update(schema_version=99),
        "has schema version 99, but this version of CME reads version 1",
    ),
    "no schema": (lambda v: v.pop("schema_version"), "has schema version None"),
    "an unknown key": (lambda v: v.update(shotss=1), "unknown key 'shotss' (did you mean 'shots'?)"),
    "a missing key": (lambda v: v.pop("shots"), "missing key 'shots'"),
    "another type": (lambda v: v.update(shots="none"), "shots: expected int, found 'none'"),
    "another type inside": (
        lambda v: v["scores"].update(average="high"),
        "scores: average: expected float, found 'high'",
    ),
    "a key too many inside": (
        lambda v: v["scores"]["datasets"][0].update(vlaue=1),
        "scores: datasets: item 1: unknown key 'vlaue' (did you mean 'value'?)",
    ),
    "no mapping inside": (
        lambda v: v["scores"].update(datasets=["qqp"]),
        "scores: datasets: item 1: expected a mapping, found 'qqp'",
    ),
    "a list for a mapping": (lambda v: v.update(scores=[1]), "scores: expected a mapping, found [1]"),
    "a wrong score inside": (
        lambda v: v["scores"]["datasets"][0]["metrics"].update(acc="1"),
        "metrics: 'acc': expected float, found '1'",
    ),
}


@pytest.mark.parametrize(("change", "says"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_record_gives_a_plain_message(edited, change, says):
    with pytest.raises(CMEError) as caught:
        edited(change)
    assert says in str(caught.value)
    assert "result.json" in str(caught.value)


def test_all_problems_of_a_record_come_at_once(edited):
    def change(values):
        values.update(tiers="quick", shots=None)
        del values["tier"]

    with pytest.raises(CMEError) as caught:
        edited(change)
    assert all(
        word in str(caught.value)
        for word in ("'tiers' (did you mean 'tier'?)", "shots: expected int", "missing key 'tier'")
    )


def test_a_result_is_no_run(edited):
    with pytest.raises(CMEError, match="is not a run record; its kind is 'result'"):
        edited(lambda values: None, Run)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '"result"', "null", '{"kind": "result", "shots": NaN}'])
def test_a_file_that_is_not_a_record_gives_a_plain_message(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(CMEError, match=r"result\.json"):
        read_record(tmp_path / "result.json", Result)
    with pytest.raises(CMEError, match="does not exist"):
        read_record(tmp_path / "other.json", Result)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_never_written(tmp_path, number):
    path = tmp_path / "result.json"
    write_record(path, RECORDS[0])
    with pytest.raises(ValueError, match="finite number"):
        SCORES.replace(average=number)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_record(path, RECORDS[0].replace(scores=SCORES.model_copy(update={"average": number})))
    assert read_record(path, Result) == RECORDS[0]
    assert [item.name for item in tmp_path.iterdir()] == ["result.json"]


def test_whole_numbers_are_read_as_the_floats_they_are(edited):
    # Other programs write 75.0 as 75.
    result = edited(lambda values: values["scores"].update(average=75))
    assert type(result.scores.average) is float


def test_a_missing_key_of_an_older_file_stays_missing(tmp_path):
    path = tmp_path / "manifest.json"
    write_record(path, make(Manifest))
    values = json.loads(path.read_text())
    for name in ("layout", "gate", "overlap", "temperature"):
        del values[name]
    del values["datasets"]["qqp"]["warnings"]
    path.write_text(json.dumps(values, indent=2) + "\n")
    before = path.read_bytes()
    manifest = read_record(path, Manifest)
    assert manifest.layout == "alpaca" and manifest.datasets["qqp"].warnings == ()
    write_record(path, manifest)
    assert path.read_bytes() == before


def test_a_record_made_in_python_is_written_with_all_its_fields(tmp_path):
    values = {name: getattr(MIX_DATASET, name) for name in MixDataset.model_fields}
    del values["warnings"]
    assert MixDataset(**values).plain()["warnings"] == ()


def test_partial_records_keep_the_given_keys():
    cost = Cost(tokens=3, steps=2)
    assert list(cost.plain()) == ["tokens", "steps"] and cost and not Cost()
    assert cost.wall_seconds is None


@pytest.mark.parametrize(
    "path", sorted((leaderboards_dir() / "demo" / "entries").glob("*.json")), ids=lambda path: path.stem
)
def test_the_demo_entries_are_written_as_they_were_read(path, tmp_path):
    write_record(tmp_path / "again.json", read_record(path, Entry))
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("record", "settings"),
    [(AdapterRecord, AdapterSettings), (TrainingRecord, TrainSettings)],
    ids=["adapter", "training"],
)
def test_records_hold_every_setting(record, settings):
    # Where a run was logged is no part of what was trained.
    assert set(record.model_fields) == {field.name for field in fields(settings)} - {"report_to"}


def test_settings_are_recorded_in_their_own_order():
    settings = stored(TrainSettings(data="mix", threads=2, report_to=("tensorboard",)))
    record = TrainingRecord(**settings)
    assert record.plain() == settings and list(record.plain()) == list(settings)


def test_versions_name_what_results_depend_on():
    found = versions()
    assert found["cme"] == cme.__version__ and found["pyarrow"] == pyarrow.__version__
    assert {"python", "lm_eval", "peft", "torch", "transformers", "rouge-score"} <= set(found)
