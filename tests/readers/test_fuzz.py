"""For any content of a file, a reader returns a value or raises a CMEError."""

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cme.adapters.read_settings import settings_from
from cme.data.load import load_examples
from cme.data.sources import open_source
from cme.data.sources.lock import Lock
from cme.errors import CMEError
from cme.files import read_json
from cme.leaderboard.entries.board import load_entry
from cme.leaderboard.entries.files import check_samples
from cme.mix import read_manifest
from cme.models.config_limits import check_config
from cme.readers.limits import DATA_FILES
from cme.readers.parquet_file import open_parquet, read_rows
from cme.readers.safetensors_file import read_tensor_header
from cme.readers.yaml_file import CardLoader, TaskLoader, parse_yaml, read_yaml
from cme.records import Entry, Grid, Manifest, Result, Run, read_record
from cme.records.samples import read_samples
from cme.suite import dataset
from cme.suite.spec import load_spec
from cme.training.recipe import load_recipe
from cme.workdir import claim, claimed, is_finished
from tests.readers.fuzzing import LONG, SHORT, SLOW, documents, mutated, seeds

SIZES = [pytest.param(SHORT, id="seconds"), pytest.param(LONG, id="minutes", marks=pytest.mark.long)]
SLOW_SIZES = [pytest.param(SHORT, id="seconds"), pytest.param(SLOW, id="minutes", marks=pytest.mark.long)]
SMALL = replace(DATA_FILES, page=2**24, unpacked=2**26, batch=2**26, values=10**6)
"""Limits that a fuzzed file can reach with little memory."""


def survives(read, *arguments):
    """Check that a reader returns a value or raises a CMEError."""
    try:
        read(*arguments)
    except CMEError as error:
        str(error).encode()  # the message can be printed


def fuzz(size, strategy, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        size(given(strategy)(check))()


@pytest.mark.parametrize("size", SIZES)
def test_json(size, tmp_path):
    path = tmp_path / "x.json"

    def check(content):
        path.write_bytes(content)
        survives(read_json, path)
        for record in (Entry, Grid, Manifest, Result, Run):
            survives(read_record, path, record)
        survives(load_entry, path)
        survives(Lock.read, path)
        survives(check_config, path)

    fuzz(size, st.one_of(mutated(seeds("json")), st.binary(max_size=60)), check)


@pytest.mark.parametrize("size", SLOW_SIZES)
def test_entries(size, tmp_path):
    """An entry of the demo with one value replaced."""
    entry = json.loads(seeds("json")[0])
    path = tmp_path / "lora.json"

    def places(value, way=()):
        yield way
        for key, item in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            yield from places(item, (*way, key))

    every = [way for way in places(entry) if way]

    def check(drawn):
        way, value, verb = drawn
        changed = json.loads(json.dumps(entry))
        home = changed
        for key in way[:-1]:
            home = home[key]
        if verb == "delete":
            del home[way[-1]]
        elif verb == "add" and isinstance(home, dict):
            home["new"] = value
        else:
            home[way[-1]] = value
        path.write_text(json.dumps(changed))
        survives(load_entry, path)

    verbs = st.sampled_from(["replace", "replace", "delete", "add"])
    drawn = st.tuples(st.sampled_from(every), documents(["fingerprint", "value", "dataset", "method"]), verbs)
    fuzz(size, drawn, check)


@pytest.mark.parametrize("size", SIZES)
def test_yaml(size, tmp_path):
    path = tmp_path / "tasks" / "family" / "x.yaml"
    path.parent.mkdir(parents=True)

    def check(content):
        path.write_bytes(content)
        for loader in (CardLoader, TaskLoader):
            survives(partial(read_yaml, path, "x", loader=loader))
        survives(load_recipe, path)
        survives(load_spec, path)

    fuzz(size, st.one_of(mutated(seeds("yaml")), st.binary(max_size=60)), check)


KEYS = [
    "training",
    "adapter",
    "include",
    "method",
    "rank",
    "target_modules",
    "options",
    "learning_rate",
    "steps",
    "metadata",
]


@pytest.mark.parametrize("size", SLOW_SIZES)
def test_recipes(size, tmp_path):
    path = tmp_path / "tasks" / "family" / "x.yaml"
    path.parent.mkdir(parents=True)

    def check(value):
        text = yaml.safe_dump(value, allow_unicode=False)
        survives(parse_yaml, text, "x")
        path.write_text(text, encoding="utf-8")
        survives(load_recipe, path)
        survives(load_spec, path)
        if isinstance(value, dict):
            survives(settings_from, value, "x")

    fuzz(size, st.dictionaries(st.sampled_from(KEYS), documents(KEYS)), check)


@pytest.mark.parametrize("size", SIZES)
def test_safetensors(size, tmp_path):
    path = tmp_path / "x.safetensors"

    def check(content):
        path.write_bytes(content)
        survives(read_tensor_header, path)

    fuzz(size, st.one_of(mutated(seeds("safetensors")), st.binary(max_size=60)), check)


@pytest.mark.parametrize("size", SIZES)
def test_markers_and_manifests(size, tmp_path):
    marker, manifest = tmp_path / "out" / ".cme.json", tmp_path / "out" / "manifest.json"
    marker.parent.mkdir()

    def check(value):
        marker.write_text(json.dumps(value))
        for read in (claimed, is_finished):
            survives(read, marker.parent)
        survives(claim, marker.parent, "train", {"size": 1})
        if marker.exists():
            marker.unlink()
        manifest.write_text(json.dumps(value))
        survives(read_manifest, marker.parent)
        manifest.unlink()

    keys = ["command", "settings", "digest", "finished", "kind", "schema_version", "files", "datasets"]
    fuzz(size, documents(keys), check)


PARQUET = """
import sys
from pathlib import Path
from tests.readers.test_fuzz import read_parquet_files
read_parquet_files(Path(sys.argv[1]), sys.argv[2])
"""


def read_parquet_files(folder, size):
    path = folder / "qqp" / "validation.parquet"
    path.parent.mkdir(parents=True)

    def rows():
        with open_parquet(path, SMALL) as file:
            for batch in file.batches():
                read_rows(batch)

    def check(content):
        path.write_bytes(content)
        survives(rows)
        survives(check_samples, path)
        survives(read_samples, path)
        survives(lambda: load_examples(dataset("qqp"), "eval", open_source(str(folder))))

    fuzz({"short": SHORT, "long": LONG}[size], st.one_of(mutated(seeds("parquet")), st.binary(max_size=60)), check)


@pytest.mark.parametrize("size", ["short", pytest.param("long", marks=pytest.mark.long)])
def test_parquet(size, tmp_path):
    """The test runs in a separate process, because a fault in Arrow's code would end it."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PARQUET, tmp_path, size], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
