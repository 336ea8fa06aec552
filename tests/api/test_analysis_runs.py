"""Similarity of the experts of several runs."""

import csv
import json
import shutil

import pytest

import cme
from cme.api.analysis_runs import differences
from cme.records import Run, read_record
from tests.training.conftest import base, mix  # noqa: F401 (fixtures)

pytestmark = pytest.mark.filterwarnings("ignore:tier smoke")

SHORT = {
    "rank": 2,
    "experts": 3,
    "lr": 1e-2,
    "steps": 3,
    "batch_size": 2,
    "max_length": 256,
    "dtype": "float32",
    "threads": 1,
}
VALUES = {"source": "mini", "tier": "smoke", "datasets": "qqp", "threads": 1, "parts": "similarity"}


@pytest.fixture(scope="module")
def runs(base, mix, tmp_path_factory):  # noqa: F811 (the fixtures)
    folder = tmp_path_factory.mktemp("runs")
    made = {"first": ("teamlora", 0), "second": ("teamlora", 1), "other": ("moelora", 0)}
    return {
        name: cme.train(folder / name, data=mix, base=str(base), method=method, seed=seed, **SHORT)
        for name, (method, seed) in made.items()
    }


def test_all_pairs_of_runs_are_compared(base, runs, tmp_path):  # noqa: F811 (the fixture)
    cme.analyse_each(list(runs.values()), tmp_path / "out", base=str(base), **VALUES)
    text = (tmp_path / "out" / "experts.md").read_text()
    assert "## Similarity of the experts of two runs" in text
    with (tmp_path / "out" / "run-similarity.csv").open() as file:
        rows = {(row["run"], row["other run"]): row for row in csv.DictReader(file)}
    assert list(rows) == [("first", "second"), ("first", "other"), ("second", "other")]
    seeds, methods = rows["first", "second"], rows["first", "other"]
    assert seeds["differ in"] == "seed (0, 1)" and methods["differ in"] == "method (teamlora, moelora)"
    # The inputs of two projections have 32 dimensions, and those of the third have 64.
    assert float(seeds["A: chance"]) == pytest.approx((2 * 2 / 32 + 2 / 64) / 3, abs=1e-3)
    assert f"| first | second | seed (0, 1) | {seeds['layers']} | {seeds['A: matched']} |" in text
    for row in rows.values():
        matched, every = (float(row[f"A: {kind}"]) + float(row[f"B: {kind}"]) for kind in ("matched", "all pairs"))
        assert 0 < every < matched < 2, "the best assignment is better than the mean of all"


def test_what_differs_is_named(runs, mix, tmp_path):  # noqa: F811 (the fixture)
    first = runs["first"].record
    assert differences(first, first) == "nothing" and differences(first, None) == "unknown"
    changed = first.replace(
        training=first.training.model_copy(update={"learning_rate": 0.5, "seed": 9}), mix_fingerprint="other"
    )
    assert differences(first, changed) == "mix, training settings, seed (0, 9)"


def test_families_are_named_where_both_mixes_are_at_hand(runs, mix, tmp_path):  # noqa: F811 (the fixture)
    made = []
    for name, families in (("one", ["nli"]), ("two", ["qa", "topic"])):
        folder = tmp_path / name
        shutil.copytree(mix, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        counts = {"licence": "", "read": 1, "dropped": {}, "conflicting": 0, "duplicates": 0, "leaks": {}}
        counts |= {"validation": 0, "available": 1, "rows": 1}
        manifest["datasets"] = {family: {"family": family, **counts} for family in families}
        manifest["fingerprint"] = name
        (folder / "manifest.json").write_text(json.dumps(manifest))
        record = runs["first"].record
        made.append(
            record.replace(training=record.training.model_copy(update={"data": str(folder)}), mix_fingerprint=name)
        )
    assert differences(*made) == "families (nli; qa, topic)"
    shutil.rmtree(tmp_path / "two")
    assert differences(*made) == "mix"
    assert isinstance(read_record(runs["first"].folder / "run.json", Run), Run)
