"""The benchmark of attention: all forms compute the same, and the table has a row for each length."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.attention import FORMS, measure_length
from benchmarks.attention.__main__ import app

SMALL = ["--batch", "2", "--heads", "2", "--width", "8", "--rounds", "1"]


def test_all_forms_are_measured():
    measured = measure_length(7, batch=2, heads=2, width=8, rounds=2)
    assert set(measured.ratios) == set(FORMS) and measured.ratios["fused"] == 1.0
    assert all(spent > 0 for spent in measured.seconds.values())


def test_a_form_that_computes_something_else_is_refused(monkeypatch):
    monkeypatch.setitem(FORMS, "plain", lambda query, key, value, mask: query + key + value)
    with pytest.raises(RuntimeError, match="the form 'plain' computes something else"):
        measure_length(7, batch=2, heads=2, width=8, rounds=1)


def test_the_table_has_a_row_for_each_length():
    result = CliRunner().invoke(app, ["--lengths", "5,9", *SMALL])
    assert result.exit_code == 0, result.output
    assert "plain / fused" in result.output
    listed = json.loads(CliRunner().invoke(app, ["--lengths", "5,9", *SMALL, "--json"]).stdout)
    assert [item["length"] for item in listed] == [5, 9] and all(set(item["ratios"]) == set(FORMS) for item in listed)
