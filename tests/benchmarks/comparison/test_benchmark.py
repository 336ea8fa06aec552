"""The benchmark of ``cme compare`` on small generated results."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.comparison import measure_comparison, write_results
from benchmarks.comparison.__main__ import app
from benchmarks.comparison.run import CASES
from cme.leaderboard.entries.scores import check_scores
from cme.records import Result, read_record
from cme.records.samples import read_samples
from cme.suite import datasets


def test_results_are_valid_and_written_once(tmp_path):
    results = write_results(tmp_path, seeds=2, share=0.004)
    assert {name: len(paths) for name, paths in results.items()} == {"method-0": 2, "method-1": 2}
    for paths in results.values():
        for path in paths:
            record, samples = read_record(path / "result.json", Result), read_samples(path / "samples.parquet")
            assert {item.dataset for item in record.scores.datasets} == set(datasets())
            check_scores(record.scores, samples, tier="full", where=str(path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert write_results(tmp_path, seeds=2, share=0.004) == results
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.long
def test_every_case_is_measured(tmp_path):
    report = measure_comparison(tmp_path, seeds=2, share=0.01)
    assert [item.case for item in report.timings] == list(CASES)
    whole = report.timings[0]
    assert whole.samples == report.samples > 1500
    assert all(0 < item.samples <= whole.samples and item.seconds > 0 for item in report.timings)


@pytest.mark.long
def test_the_command_prints_json(tmp_path):
    done = CliRunner().invoke(
        app,
        ["--share", "0.01", "--seeds", "1", "--results", str(tmp_path / "r"), "--out", str(tmp_path / "o"), "--json"],
    )
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "o" / "report.json").read_text())
