"""The benchmark of boards: what it measures. The tests do not assert speeds."""

import pytest

from benchmarks.boards import measure_overhead, measure_survey
from benchmarks.boards.run import write_board
from cme.board.board import read_board
from cme.board.plan import make_plan


def test_large_boards_are_planned_and_recognised(tmp_path, tiny_base):
    measured = measure_survey(tmp_path, str(tiny_base), finished=20, planned=200)
    assert measured.planned >= 200 and measured.finished >= 20 and measured.plan > 0 and measured.recognised > 0


def test_the_board_of_the_measurement_has_one_training_per_seed(tmp_path, tiny_base):
    board = read_board(write_board(tmp_path, str(tiny_base), steps=2, seeds=3))
    assert sum(step.kind == "run" for step in make_plan(board).steps.values()) == 3


@pytest.mark.long
def test_the_overhead_is_what_the_commands_do_not_take(tmp_path, tiny_base):
    measured = measure_overhead(tmp_path, str(tiny_base), steps=2, seeds=1)
    assert measured.steps == 1 and 0 < measured.commands <= measured.wall and 0 < measured.share < 1
    assert measured.per_step == pytest.approx(measured.wall - measured.commands)
