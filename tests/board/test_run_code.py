"""Boards whose datasets need the code of a model to run."""

import pytest

from cme.board.plan import make_plan
from cme.errors import UsageError
from tests.board.fakes import make_board

REASONING = {"suite": "cme-r", "datasets": None}


def evaluations(board):
    return {name: step for name, step in make_plan(board).steps.items() if step.kind == "result"}


@pytest.mark.parametrize(
    ("value", "option"),
    [
        ("true", "--run-code=sandboxed"),
        ("sandboxed", "--run-code=sandboxed"),
        ("unsandboxed", "--run-code=unsandboxed"),
    ],
)
def test_a_board_of_cme_r_runs_code_as_it_says(tmp_path, value, option):
    steps = evaluations(make_board(tmp_path, **REASONING, run_code=value))
    assert all(option in step.argv for step in steps.values() if "--baseline" not in step.argv)
    assert {"mbpp", "humaneval"} <= set(steps["results/lora-0"].expects["datasets"])


@pytest.mark.parametrize("value", [None, "false"])
def test_without_run_code_the_board_is_refused_before_anything_is_trained(tmp_path, value):
    with pytest.raises(
        UsageError, match=r"to score humaneval and mbpp.* Add 'run_code: true'.*'datasets: \[aqua_rat, gsm8k\]'"
    ):
        make_board(tmp_path, **REASONING, run_code=value)


def test_the_datasets_that_the_message_names_need_no_code(tmp_path):
    steps = evaluations(make_board(tmp_path, suite="cme-r", datasets="[aqua_rat, gsm8k]"))
    assert not any(word.startswith("--run-code") for step in steps.values() for word in step.argv)


def test_an_unknown_way_to_run_code_names_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r"unknown run_code 'sandbox'\. Did you mean 'sandboxed'\?"):
        make_board(tmp_path, **REASONING, run_code="sandbox")


def test_a_baseline_runs_no_programs_and_has_the_datasets_that_it_answers(tmp_path):
    argv = evaluations(make_board(tmp_path, **REASONING, run_code="true", references="[majority]"))[
        "results/majority"
    ].argv
    assert not any(word.startswith("--run-code") for word in argv)
    assert argv[argv.index("--datasets") + 1].split(",") == ["aqua_rat", "gsm8k"]


def test_run_code_without_programs_is_refused(tmp_path):
    with pytest.raises(
        UsageError, match="run_code is sandboxed, but no dataset of the board has programs that must run"
    ):
        make_board(tmp_path, run_code="true")


def test_cme_22_has_no_option_for_code(tmp_path):
    steps = evaluations(make_board(tmp_path))
    assert not any(word.startswith("--run-code") for step in steps.values() for word in step.argv)
