"""Evaluations on the rows of a file of row ids: the same samples from any source that has the rows."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cme
from cme.errors import CMEError, SourceError, UsageError
from cme.leaderboard.entries.board import check_comparable
from tests.hub_rows.entailment import rte_row
from tests.hub_rows.open_qa import nq_row
from tests.hub_rows.paraphrase import qqp_row

DATASETS = ("qqp", "rte", "nq_open")


def rows(first, count):
    return {
        "qqp/validation": [qqp_row(first + k) for k in range(count)],
        "rte/validation": [rte_row(first + k) for k in range(count)],
        "nq_open/validation": [nq_row(first + k) for k in range(count)],
    }


@pytest.fixture(scope="module")
def made(tiny_base, tmp_path_factory):
    """A result on a named mirror with 12 rows of each dataset, its row ids, and a larger mirror in another order."""
    from tests.hub_rows import write_mirror

    home = tmp_path_factory.mktemp("ids")
    small = rows(0, 12)
    write_mirror(home / "small", small)
    write_mirror(home / "large", {name: [*rows(50, 30)[name], *reversed(of)] for name, of in small.items()})
    first = cme.evaluate(
        base=str(tiny_base),
        source=f"sample={home / 'small'}",
        tier="quick",
        datasets=DATASETS,
        threads=1,
        out=home / "first",
    )
    cme.write_ids(first, home / "ids.parquet")
    return home


@pytest.fixture(scope="module")
def again(made, tiny_base):
    return cme.evaluate(
        base=str(tiny_base), source=str(made / "large"), ids=made / "ids.parquet", threads=1, out=made / "again"
    )


def test_the_samples_are_the_same_bytes(made, again):
    for name in ("samples.parquet", "responses.parquet"):
        assert (made / "again" / name).read_bytes() == (made / "first" / name).read_bytes()
    record, before = again.record, cme.load_result(made / "first").record
    assert record.scores == before.scores
    assert (record.tier, record.source, record.read_from, record.rows) == ("quick", "sample", "large", None)
    assert record.ids and before.ids is None and before.read_from is None
    assert "read_from" not in json.loads((made / "first/result.json").read_text()), "earlier results keep their bytes"
    assert list(record.provenance["qqp"]) == ["qqp/validation.parquet (large)"]
    assert list(before.provenance["qqp"]) == ["qqp/validation.parquet"]


def test_ids_of_both_results_are_the_same_bytes(made, again, tmp_path):
    cme.write_ids(again, tmp_path / "ids.parquet")
    assert (tmp_path / "ids.parquet").read_bytes() == (made / "ids.parquet").read_bytes()


def test_its_samples_are_shown_with_their_texts(made, again):
    then = cme.show_samples(made / "first", "rte", n=12)
    assert [item.prompt for item in cme.show_samples(again, "rte", n=12)] == [item.prompt for item in then]


def test_both_results_may_stand_on_one_board(made, again, tmp_path, tiny_base):
    adapters = {name: cme.load_result(made / name) for name in ("first", "again")}
    entries = [cme.submit(result, entries=tmp_path / "entries", name=name).entry for name, result in adapters.items()]
    check_comparable(entries)
    assert entries[0].items == entries[1].items


def test_an_entry_gives_the_same_ids(made, tmp_path):
    cme.submit(made / "first", entries=tmp_path / "entries", name="x")
    cme.write_ids(tmp_path / "entries/x.json", tmp_path / "ids.parquet")
    assert (tmp_path / "ids.parquet").read_bytes() == (made / "ids.parquet").read_bytes()


def test_an_interrupted_evaluation_continues_with_the_same_ids_only(made, tiny_base, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    call = {"base": str(tiny_base), "source": str(made / "large"), "threads": 1, "out": tmp_path / "out"}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cme.evaluation.result_files.write_samples", stop)
        cme.evaluate(**call, ids=made / "ids.parquet")
    pq.write_table(
        pq.read_table(made / "ids.parquet").slice(1).replace_schema_metadata(None), tmp_path / "less.parquet"
    )
    with pytest.raises(UsageError, match="work with other settings"):
        cme.evaluate(**call, ids=tmp_path / "less.parquet")
    assert cme.evaluate(**call, ids=made / "ids.parquet").record.scores == cme.load_result(made / "first").record.scores


def test_a_baseline_and_ids_of_another_program(made, tmp_path):
    table = pq.read_table(made / "ids.parquet").select(["dataset", "id"]).slice(3, 18)
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "some.parquet")
    result = cme.evaluate(
        baseline="first-option", source=str(made / "large"), ids=tmp_path / "some.parquet", out=tmp_path / "out"
    )
    frame = result.samples()
    assert sorted(frame["id"]) == sorted(table["id"].to_pylist())
    record = result.record
    assert record.tier == "full" and record.source == "large" and record.rows.rule == "given"
    assert set(record.rows.available.values()) == {42}
    with pytest.raises(UsageError, match="numbers of rows that a user gave"):
        cme.submit(result, entries=tmp_path / "entries")
    assert not (tmp_path / "entries").exists()


def test_missing_and_changed_rows_are_counted_before_the_model_is_loaded(made, make_mirror, monkeypatch):
    files = rows(0, 12)
    ids = pq.read_table(made / "ids.parquet")
    files["qqp/validation"] = files["qqp/validation"][2:]
    files["rte/validation"][5] = rte_row(5, label=1 - rte_row(5)["label"])
    monkeypatch.setattr("cme.evaluation.session.load_model", None)
    with pytest.raises(SourceError) as caught:
        cme.evaluate(base="smollm2-135m", source=str(make_mirror(files)), ids=made / "ids.parquet")
    text = str(caught.value)
    assert "does not have all 36 rows of" in text
    assert "2 are missing (qqp: 2; the first: qqp " in text
    assert "1 have another subset, cluster or right answer (rte: 1; the first: rte " in text
    assert set(ids["dataset"].to_pylist()) == set(DATASETS)


def test_training_rows_of_another_source_are_refused(made):
    for more in ({"shots": 2}, {"baseline": "majority"}):
        with pytest.raises(
            UsageError, match="also uses training rows, which differ between the sources sample and large"
        ):
            cme.evaluate(source=str(made / "large"), ids=made / "ids.parquet", **more)


def test_bad_input(made, tmp_path):
    ids = made / "ids.parquet"
    for more, problem in (
        ({"datasets": "qqp"}, "datasets cannot be combined with ids"),
        ({"rows": "qqp=2"}, "rows and ids cannot be combined"),
        ({"tier": "smoke"}, "are of tier quick, but tier is smoke"),
    ):
        with pytest.raises(UsageError, match=problem):
            cme.evaluate(source="mini", ids=ids, **more)
    table = pq.read_table(ids)
    pq.write_table(table.slice(1), tmp_path / "cut.parquet")
    with pytest.raises(CMEError, match="has other numbers of rows than it states"):
        cme.evaluate(source="mini", ids=tmp_path / "cut.parquet")
    pq.write_table(pa.table({"dataset": ["qpq"], "id": ["a"]}), tmp_path / "name.parquet")
    with pytest.raises(UsageError, match=r"has ids of 'qpq', which is not a dataset"):
        cme.evaluate(source="mini", ids=tmp_path / "name.parquet")
    pq.write_table(pa.table({"dataset": ["qqp"], "id": ["a"], "split": ["train"]}), tmp_path / "mix.parquet")
    with pytest.raises(UsageError, match="has no ids of evaluation rows"):
        cme.evaluate(source="mini", ids=tmp_path / "mix.parquet")
    with pytest.raises(UsageError, match="is not a mix, a training run, a result or an entry"):
        cme.write_ids(tmp_path, tmp_path / "ids.parquet")
    with pytest.raises(UsageError, match=r"is a folder\. Give a file for out"):
        cme.write_ids(made / "first", tmp_path)
