"""Evaluations on a named source: the name is recorded, the folder may move, and other rows under the same name are refused."""

import pytest

from cme.errors import UsageError
from cme.evaluation.run import evaluate
from cme.evaluation.sample_view import single_samples
from cme.evaluation.settings import EvalSettings
from cme.leaderboard.entries.board import check_comparable
from cme.leaderboard.submission.submit import make_entry
from cme.workdir import FinishedError
from tests.evaluation.runs import stopped_after_a_dataset
from tests.hub_rows.entailment import rte_row
from tests.hub_rows.paraphrase import qqp_row


@pytest.fixture
def mirrors(make_mirror):
    """Two folders with the same rows of RTE and other rows of QQP."""

    def rows(first):
        return {
            "qqp/validation": [qqp_row(first + k) for k in range(4)],
            "rte/validation": [rte_row(k) for k in range(4)],
        }

    return make_mirror(rows(0), "here"), make_mirror(rows(50), "there")


def run(mirror, out, name="first-option", *, datasets=("qqp", "rte")):
    settings = EvalSettings(
        base="never looked for", tier="smoke", source=f"sample={mirror}", datasets=datasets, baseline=name
    )
    return evaluate(settings, out)


@pytest.fixture
def stopped(mirrors, tmp_path):
    """An evaluation that was stopped after its first dataset, QQP."""
    with stopped_after_a_dataset():
        run(mirrors[0], tmp_path / "out")
    return tmp_path / "out"


def test_the_name_is_recorded_and_the_path_is_not(mirrors, tmp_path):
    assert run(mirrors[0], tmp_path / "out").source == "sample"
    assert str(mirrors[0]) not in (tmp_path / "out/result.json").read_text()


def test_the_folder_may_move_while_an_evaluation_is_unfinished(mirrors, stopped, tmp_path):
    moved = mirrors[0].rename(tmp_path / "moved")
    result = run(moved, stopped)
    assert result.scores == run(moved, tmp_path / "whole").scores
    with pytest.raises(FinishedError):
        run(moved, stopped)


def test_other_rows_under_the_same_name_are_refused(mirrors, stopped):
    with pytest.raises(UsageError, match=r"out has scores of qqp on other rows than those in sample \(.*there\) now"):
        run(mirrors[1], stopped)
    assert not (stopped / "result.json").exists()
    assert run(mirrors[0], stopped).source == "sample", "nothing was lost"


def test_samples_are_shown_from_where_the_folder_lies(mirrors, tmp_path):
    run(mirrors[0], tmp_path / "out")
    (one,) = single_samples(tmp_path / "out", "qqp", first=1)
    assert "Question" in one.prompt
    mirrors[0].rename(tmp_path / "moved")
    with pytest.raises(UsageError, match=r"is not a folder on this machine\. Set --source"):
        single_samples(tmp_path / "out", "qqp", first=1)
    assert single_samples(tmp_path / "out", "qqp", first=1, source=f"sample={tmp_path / 'moved'}") == [one]


def test_rows_of_one_name_with_other_data_do_not_share_a_board(mirrors, tmp_path):
    entries = []
    for name, mirror in zip("ab", mirrors, strict=True):
        run(mirror, tmp_path / name)
        entries.append(make_entry([tmp_path / name], [], tmp_path / "entries", name=name))
    with pytest.raises(UsageError, match=r"They differ in qqp/validation\.parquet of qqp"):
        check_comparable(entries)
    assert check_comparable(entries[:1]) is None
