"""CME-R from the evaluation to the board: results, entries and tables of one suite, apart from those of CME-22."""

import json

import pytest

import cme
from cme.errors import CMEWarning, UsageError
from cme.suite import datasets, notes_on


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return results of baselines on CME-R and on two datasets of CME-22."""
    folder = tmp_path_factory.mktemp("suites")

    def made(name, baseline, **choice):
        return cme.evaluate(
            baseline=baseline, source="mini:graded", tier="smoke", out=folder / name, name=name, **choice
        )

    return {
        "majority": made("majority", "majority", suite="cme-r"),
        "first": made("first", "first-option", datasets="aqua_rat"),
        "other": made("other", "majority", datasets="rte,qqp"),
    }


def board(folder, *results):
    for result in results:
        cme.submit(result, entries=folder / "entries")
    return folder / "entries"


def test_a_suite_is_evaluated_whole(results):
    result = results["majority"]
    assert result.to_frame()["dataset"].tolist() == ["aqua_rat", "gsm8k"]
    assert [family.family for family in result.scores.families] == ["mathematical_reasoning"]
    assert "CME-R average" in repr(result) and "CME average" not in repr(result)


def test_a_named_dataset_needs_no_suite(results):
    assert results["first"].to_frame()["dataset"].tolist() == ["aqua_rat"]
    assert "CME-R average over 1 family" in repr(results["first"])
    assert "CME average over" in repr(results["other"])


def test_both_readings_of_a_number_are_in_the_result(results):
    (item,) = [item for item in results["majority"].scores.datasets if item.dataset == "gsm8k"]
    assert set(item.metrics) == {"flexible_match", "strict_match", "marked"}
    # The baseline writes a marked number every time.
    assert (
        item.metrics["marked"] == 1.0 and item.metrics["strict_match"] == item.metrics["flexible_match"] == item.value
    )
    assert item.diagnostics == {"truncated": 0, "cut": 0, "empty": 0, "unmarked": 0}


def test_a_board_of_cme_r_has_tables_of_its_own(results, tmp_path):
    entries = board(tmp_path, results["majority"], results["first"])
    assert all(verdict.ok for verdict in cme.verify_board(entries))
    rendered = cme.render_board(entries, tmp_path / "out")
    text = rendered.text
    assert text.startswith("# CME-R leaderboard") and "CME-R average" in text and "CME average" not in text
    assert "## Two readings of a number" in text
    # The paper's rows are averages over its own 22 datasets.
    assert "paper" not in text.lower()
    values = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    row = next(row for row in values["rows"] if row["name"] == "majority")
    assert row["readings"]["gsm8k"]["strict_match"] == row["readings"]["gsm8k"]["flexible_match"]
    assert row["without_rouge"] is None and values["paper"] is None
    page = (tmp_path / "out" / "index.html").read_text()
    assert "CME-R average" in page and "CME average" not in page and "arXiv" not in page


def test_a_folder_with_both_suites_is_refused(results, tmp_path):
    entries = board(tmp_path, results["majority"])
    cme.submit(results["other"], entries=entries, name="of-cme-22")
    with pytest.raises(UsageError, match=r"several suites.*CME-22.*CME-R.*Keep one folder of entries per suite"):
        cme.render_board(entries, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_result_is_of_one_suite(tmp_path):
    for choice in ({"suite": "all"}, {"datasets": "qqp,gsm8k"}):
        with pytest.raises(UsageError, match="CME-22 and CME-R, whose averages are never mixed"):
            cme.evaluate(baseline="majority", source="mini", tier="smoke", out=tmp_path / "x", **choice)
    with pytest.raises(UsageError, match=r"unknown suite 'cme-rr'\. Did you mean 'cme-r'\?"):
        cme.evaluate(baseline="majority", source="mini", tier="smoke", suite="cme-rr")
    assert not (tmp_path / "x").exists()


def test_a_mix_of_cme_22_is_not_changed_by_cme_r(tmp_path):
    mix = cme.build_mix(tmp_path / "mix", source="mini", size=400, datasets="arc,qqp,nq_open", workers=1)
    assert mix.fingerprint == "b6926d32a8cca0070fa06599910493eb011f77ea659bc79e5988786294af5877"
    assert not {"gsm8k", "aqua_rat", "svamp"} & {name for others in mix.manifest.overlap.values() for name in others}


def test_a_mix_of_cme_r_is_compared_with_both_suites(tmp_path):
    mix = cme.build_mix(tmp_path / "mix", source="mini:graded", size=200, suite="cme-r", workers=1)
    assert mix.to_frame()["dataset"].tolist() == ["aqua_rat", "gsm8k", "mbpp"]
    assert {"gsm8k", "aqua_rat", "svamp", "humaneval", "mmlu", "qqp"} <= set(mix.manifest.overlap["gsm8k"])
    assert mix.manifest.datasets["gsm8k"].leaks == {"gsm8k": 5}
    assert "--datasets" in (tmp_path / "mix" / "README.md").read_text()


def test_the_lists_of_a_suite():
    assert len(cme.list_datasets()) == 22 and len(cme.list_families()) == 11
    assert [row["dataset"] for row in cme.list_datasets("cme-r")][:2] == ["aqua_rat", "gsm8k"]
    assert "mathematical_reasoning" in [row["family"] for row in cme.list_families("all")]
    assert len(cme.list_datasets("all")) == 22 + len(cme.list_datasets("cme-r"))
    assert {row["baseline"]: row["which"] for row in cme.list_baselines("cme-r")}["first-option"] == "aqua_rat"


def test_a_comparison_says_which_datasets_need_code_to_run(tmp_path):
    given = {"source": "mini", "tier": "quick", "out": tmp_path / "out"}
    with pytest.warns(CMEWarning, match=r"Not compared: mbpp\. .* 'cme eval --run-code', and compare the results"):
        compared = cme.compare(["majority", "first-option"], datasets="aqua_rat,mbpp", **given)
    assert list(compared.paired.datasets) == ["aqua_rat"]
    with pytest.raises(UsageError, match="to score humaneval and mbpp, the code that the models write must run"):
        cme.compare(["majority", "first-option"], datasets="code_generation", **given)


def test_a_board_on_real_rows_says_that_humaneval_may_be_known():
    note = "Solutions of HumanEval are on many web pages"
    assert any(note in text for text in notes_on(["gsm8k", "humaneval"]))
    assert notes_on(list(datasets())) == []


def test_programs_run_in_the_suite_that_has_them(tmp_path, monkeypatch):
    """``--suite all --run-code`` is one command, although CME-22 by itself refuses the option."""
    given = []
    monkeypatch.setattr(
        "cme.evaluation.run.evaluate_each", lambda settings, adapters, out, rule: given.append(settings) or [None]
    )
    cme.evaluate_each(["base"], tmp_path, suite="all", run_code="unsandboxed")
    assert [item.run_code for item in given] == [None, "unsandboxed"]
    for item in given:
        item.check()
    given.clear()
    cme.evaluate_each(["base"], tmp_path, suite="all", datasets="qqp,gsm8k", run_code="unsandboxed")
    for item in given:
        with pytest.raises(UsageError, match="--run-code applies to datasets"):
            item.check()
