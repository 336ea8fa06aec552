"""An evaluation continues only with the evaluation and training files with which it began. Nothing is then missing silently."""

import json

import pytest

import cme
from cme.errors import DataError, SourceError, UsageError
from cme.evaluation import task
from cme.evaluation.row_windows import RowWindows
from cme.evaluation.run import evaluate
from cme.evaluation.settings import EvalSettings
from cme.suite import dataset
from tests.evaluation.runs import stopped_after_a_dataset
from tests.hub_rows import write_mirror
from tests.hub_rows.entailment import rte_row
from tests.hub_rows.inference import anli_row

LABELS = {"test_r1": 0, "test_r2": 0, "test_r3": 1}
"""The first option is right in the first two splits of ANLI, and wrong in the third."""


def anli(*splits):
    return {
        f"anli/{split}": [anli_row(10 * ord(split[-1]) + k, label=LABELS[split]) for k in range(4)] for split in splits
    }


def rte(broken=False):
    return {"rte/validation": [rte_row(k, **({"label": 7} if broken else {})) for k in range(4)]}


def run(mirror, out, **changes):
    values = {"tier": "full", "source": str(mirror), "datasets": ("anli", "rte"), "baseline": "first-option"}
    return evaluate(EvalSettings(base="never looked for", **{"allow_missing": True, **values, **changes}), out)


def anli_of(result):
    item = next(item for item in result.scores.datasets if item.dataset == "anli")
    return item.n, item.value


@pytest.fixture
def stopped(make_mirror, tmp_path):
    """A mirror without the third split of ANLI, and an evaluation that stopped at a broken row of RTE, after ANLI."""
    mirror = make_mirror(anli("test_r1", "test_r2") | rte(broken=True))
    with pytest.raises(DataError, match="rte"):
        run(mirror, tmp_path / "out")
    assert (tmp_path / "out/parts/anli/done.json").is_file()
    write_mirror(mirror, rte())
    return mirror


def test_a_split_that_appeared_is_refused(stopped, tmp_path):
    write_mirror(stopped, anli("test_r3"))
    with pytest.raises(
        UsageError,
        match=r"out has scores of anli on other rows than those in .*mirror now \(anli/test_r3\.parquet only now\)\. Give the "
        r"folder with the earlier rows to continue, or another --out\.",
    ):
        run(stopped, tmp_path / "out")
    fresh = run(stopped, tmp_path / "fresh")
    assert anli_of(fresh) == (12, pytest.approx(2 / 3)) and fresh.missing == ()
    (stopped / "anli/test_r3.parquet").unlink()
    continued = run(stopped, tmp_path / "out")
    assert anli_of(continued) == (8, 1.0)
    assert continued.missing == ("anli: anli/test_r3.parquet",)


def test_a_split_that_vanished_is_refused(stopped, tmp_path):
    (stopped / "anli/test_r2.parquet").unlink()
    with pytest.raises(UsageError, match=r"other rows .* \(anli/test_r2\.parquet only then\)"):
        run(stopped, tmp_path / "out")


@pytest.mark.parametrize("marker", [{}, {"provenance": {}}])
def test_what_an_earlier_version_did_not_record_is_not_compared(stopped, tmp_path, marker):
    file = tmp_path / "out/parts/anli/done.json"
    done = json.loads(file.read_text())
    del done["provenance"]
    file.write_text(json.dumps(done | {"provenance": {"revision": ""}} | marker))
    assert anli_of(run(stopped, tmp_path / "out")) == (8, 1.0)


def test_the_training_rows_of_a_baseline_are_compared(make_mirror, tmp_path):
    training = {f"anli/train_r{k}": [anli_row(100 + k, label=0)] for k in (1, 2)}
    mirror = make_mirror(anli("test_r1") | training | rte(broken=True) | {"rte/train": [rte_row(50)]})
    with pytest.raises(DataError, match="rte"):
        run(mirror, tmp_path / "out", baseline="majority")
    write_mirror(mirror, rte() | {"anli/train_r3": [anli_row(200 + k, label=1) for k in range(9)]})
    with pytest.raises(
        UsageError, match=r"anli that depend on other training rows than .* \(anli/train_r3\.parquet only now\)"
    ):
        run(mirror, tmp_path / "out", baseline="majority")
    (mirror / "anli/train_r3.parquet").unlink()
    assert anli_of(run(mirror, tmp_path / "out", baseline="majority")) == (4, 1.0)


@pytest.fixture
def grow(tiny_base, tmp_path):
    def grow(mirror, count, **more):
        common = {"base": str(tiny_base), "threads": 1, "out": tmp_path / "out", "allow_missing": True}
        return cme.evaluate(source=str(mirror), rows=count, **common | more).record

    return grow


def test_more_rows_of_other_splits_are_refused(grow, make_mirror, tmp_path):
    mirror = make_mirror(anli("test_r1"))
    first = grow(mirror, {"anli": 2})
    write_mirror(mirror, anli("test_r2"))
    with pytest.raises(UsageError, match=r"other rows .* \(anli/test_r2\.parquet only now\)"):
        grow(mirror, {"anli": 3})
    with pytest.raises(
        UsageError, match=r"the rows of .*out cannot be shared\. .* other rows of anli in source mirror"
    ):
        grow(mirror, None, rows_of=tmp_path / "out", out=tmp_path / "other")
    (mirror / "anli/test_r2.parquet").unlink()
    third = grow(mirror, {"anli": 3})
    assert third.rows.counts == {"anli": 3} and third.provenance == first.provenance
    assert list(third.provenance["anli"]) == ["anli/test_r1.parquet"]


def test_more_rows_with_other_examples_in_the_prompt_are_refused(grow, make_mirror):
    mirror = make_mirror(rte() | {"rte/train": [rte_row(50 + k) for k in range(3)]})
    grow(mirror, {"rte": 2}, shots=1)
    write_mirror(mirror, {"rte/train": [rte_row(80 + k) for k in range(3)]})
    with pytest.raises(
        UsageError, match=r"rte that depend on other training rows than .* \(rte/train\.parquet changed\)"
    ):
        grow(mirror, {"rte": 3}, shots=1)
    write_mirror(mirror, {"rte/train": [rte_row(50 + k) for k in range(3)]})
    assert grow(mirror, {"rte": 3}, shots=1).rows.counts == {"rte": 3}


def test_training_rows_do_not_matter_without_examples(grow, make_mirror):
    mirror = make_mirror(rte() | {"rte/train": [rte_row(50)]})
    grow(mirror, {"rte": 2})
    write_mirror(mirror, {"rte/train": [rte_row(80)]})
    assert grow(mirror, {"rte": 3}).rows.counts == {"rte": 3}


def test_row_ids_are_found_in_whichever_files_have_them(make_mirror, tmp_path):
    """An added split changes the tier, but not the rows that a file of row ids names."""
    mirror = make_mirror(anli("test_r1", "test_r2") | rte())
    whole = run(mirror, tmp_path / "whole")
    chosen = {"ids": str(cme.write_ids(tmp_path / "whole", tmp_path / "ids.parquet").file), "allow_missing": False}
    with stopped_after_a_dataset():
        run(mirror, tmp_path / "out", **chosen)
    write_mirror(mirror, anli("test_r3"))
    continued = run(mirror, tmp_path / "out", **chosen)
    assert continued.samples_sha256 == whole.samples_sha256 and anli_of(continued) == (8, 1.0)


def test_missing_training_splits_are_recorded_with_row_ids_too(make_mirror, tmp_path):
    training = {
        "anli/train_r1": [anli_row(100, label=0)],
        "anli/train_r3": [anli_row(101, label=0)],
        "rte/train": [rte_row(50)],
    }
    mirror = make_mirror(anli("test_r1", "test_r2", "test_r3") | training | rte())
    run(mirror, tmp_path / "whole")
    chosen = {"ids": str(cme.write_ids(tmp_path / "whole", tmp_path / "ids.parquet").file), "baseline": "majority"}
    with pytest.raises(SourceError, match=r"lacks:\s+anli: anli/train_r2\.parquet\s+Add them"):
        run(mirror, tmp_path / "out", allow_missing=False, **chosen)
    assert run(mirror, tmp_path / "out", **chosen).missing == ("anli: anli/train_r2.parquet",)


def test_the_rows_of_a_later_stage_say_where_they_are_from(make_mirror):
    mirror = make_mirror(rte() | {"rte/train": [rte_row(50)]})
    windows = RowWindows()
    found = []
    for window in ((0, 2), (2, 4)):
        windows.set("rte", window)
        found.append(task.load(cme_dataset="rte", cme_source=str(mirror), cme_shots=1, cme_rows=windows).provenance)
    assert sorted(found[0]) == [f"rte/{dataset('rte').subsets[0].train}.parquet", "rte/validation.parquet"]
    assert found[1] == found[0]
