"""An evaluation that continues with more rows keeps what was measured, and takes rows of the same commit of the hub only."""

import json

import pytest

import cme
from cme.records import Result, read_record
from cme.suite import dataset
from tests.data.hub_server import MOVED, REVISION, HubClient, HubServer, suite_repositories
from tests.evaluation.runs import save_adapter

CHEAP = {"source": "mini", "threads": 1}


@pytest.fixture(scope="module")
def adapter(tiny_base, tmp_path_factory):
    return save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "filled", 0.3)


def test_more_rows_keep_the_retention(tiny_base, adapter, tmp_path, monkeypatch):
    call = {"adapter": str(adapter), "base": str(tiny_base), "out": tmp_path / "x", **CHEAP}
    first = cme.evaluate(rows={"rte": 4}, retention=True, **call)
    # It is kept also if the continuation is interrupted while it writes the result.
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cme.evaluation.result_files.aggregate", _interrupt)
        cme.evaluate(rows={"rte": 6}, **call)
    second = cme.evaluate(rows={"rte": 6}, **call)
    assert second.record.rows.counts == {"rte": 6}
    assert first.retention is not None and second.retention == first.retention
    assert read_record(tmp_path / "x/result.json", Result).retention == first.retention


def _interrupt(*_, **__):
    raise KeyboardInterrupt


def test_more_rows_of_another_commit_are_refused(tiny_base, tmp_path):
    hub_id = dataset("rte").hub_id
    words = ["eval", "--base", str(tiny_base), "--source", "hub", "--threads", "1", "--out", "x"]

    def run(count, lock, **heads):
        with (
            HubServer(suite_repositories(), **heads) as hub,
            HubClient(hub.endpoint, tmp_path / "hf", CME_LOCK=str(tmp_path / lock)) as client,
        ):
            return client({"cme": [*words, "--rows", f"rte={count}"], "in": str(tmp_path)})

    assert (done := run(2, "first.lock"))["exit"] == 0, done["stderr"]
    result = (tmp_path / "x/result.json").read_bytes()
    # The first time, the commit is known after the hub was asked; the second time, the lock has it.
    for _ in range(2):
        refused = run(3, "second.lock", heads={hub_id: MOVED})
        assert refused["exit"] == 2, refused["stderr"]
        assert f"has scores of rte on commit {REVISION[:12]} of {hub_id}, but its rows are from" in refused["stderr"]
        assert "Set CME_LOCK to the cme.lock of the first evaluation" in refused["stderr"]
    assert MOVED in (tmp_path / "second.lock").read_text()
    assert not list((tmp_path / "x/parts/rte").glob("2-3/done.json"))
    assert (tmp_path / "x/result.json").read_bytes() == result
    assert (done := run(3, "first.lock", heads={hub_id: MOVED}))["exit"] == 0, done["stderr"]
    record = json.loads((tmp_path / "x/result.json").read_text())
    assert record["rows"]["counts"] == {"rte": 3} and record["provenance"]["rte"]["revision"] == REVISION
