"""Differences between rows in what their experts do, over seeds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import cme
from cme.leaderboard.ranking.expert_pairs import expert_differences
from tests.leaderboard.analyses import analysed_row
from tests.leaderboard.pages import standing_of

NAMES = ("qqp", "anli", "nq_open", "mmlu")


@pytest.fixture
def rows(workshop):
    workshop.reference("base", 0.4, names=NAMES)
    analysed_row(workshop, "moelora", "moelora", 0.6, seeds=(0, 1, 2), names=NAMES)
    analysed_row(workshop, "team", "teamlora", 0.7, seeds=(3, 4, 5, 6), names=NAMES)
    analysed_row(workshop, "hydra", "hydralora", 0.65, seeds=(7, 8), names=NAMES)
    analysed_row(workshop, "single", "moelora", 0.55, seeds=(9,), names=NAMES)
    return workshop


def shares(standing, name):
    row = next(row for row in standing.rows if row.name == name)
    kept = [item for run in row.runs for item in run.experts.redundancy if item.name == "top1"]
    return np.array([100 * item.share_of_gain["average"].value for item in kept])


def test_the_difference_of_two_rows_is_welchs(rows):
    standing = standing_of(rows)
    found = {(item.first, item.second): item for item in expert_differences(standing) if item.figure == "top1"}
    assert {frozenset(pair) for pair in found} == {
        frozenset(pair) for pair in (("moelora", "team"), ("moelora", "hydra"), ("team", "hydra"))
    }
    for (first, second), item in found.items():
        one, other = shares(standing, first), shares(standing, second)
        errors = one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)
        stderr = sum(errors) ** 0.5
        freedom = sum(errors) ** 2 / (errors[0] ** 2 / (len(one) - 1) + errors[1] ** 2 / (len(other) - 1))
        value = one.mean() - other.mean()
        half = stats.t.ppf(0.975, freedom) * stderr
        assert item.value == pytest.approx(value)
        assert (item.low, item.high) == pytest.approx((value - half, value + half))
        assert item.p == pytest.approx(2 * stats.t.sf(abs(value) / stderr, freedom))


def test_p_values_are_corrected_for_all_pairs_of_a_figure(rows):
    found = [item for item in expert_differences(standing_of(rows)) if item.figure == "top1"]
    ordered = sorted(found, key=lambda item: item.p)
    expected = np.maximum.accumulate([item.p * (len(found) - place) for place, item in enumerate(ordered)])
    assert [item.p_adjusted for item in ordered] == pytest.approx(list(np.minimum(expected, 1)))


def test_a_figure_that_is_undefined_for_one_seed_is_left_out(rows):
    standing = standing_of(rows)
    team = next(row for row in standing.rows if row.name == "team")
    experts = team.runs[0].experts
    agreement = experts.shapley.agreement.replace(value=None, low=None, high=None)
    changed = experts.replace(shapley=experts.shapley.replace(agreement=agreement))
    team = team.replace(runs=(team.runs[0].replace(experts=changed), *team.runs[1:]))
    standing = replace(standing, rows=tuple(team if row.name == "team" else row for row in standing.rows))
    compared = {(item.figure, frozenset((item.first, item.second))) for item in expert_differences(standing)}
    assert ("agreement", frozenset(("moelora", "team"))) not in compared
    assert ("agreement", frozenset(("moelora", "hydra"))) in compared
    assert ("soft_agreement", frozenset(("moelora", "team"))) in compared


def test_a_figure_without_spread_has_no_interval(rows):
    standing = standing_of(rows)
    values = {run.experts.load.confident for row in standing.rows for run in row.runs if run.experts}
    found = [item for item in expert_differences(standing) if item.figure == "confident"]
    assert len(values) == 1 and len(found) == 3
    assert {(item.value, item.low, item.high, item.p, item.p_adjusted) for item in found} == {
        (0, None, None, None, None)
    }


def test_the_board_returns_and_prints_them(rows):
    board = cme.load_board(rows.entries)
    frame = board.expert_pairs()
    assert list(frame.columns) == ["first", "second", "figure", "difference", "low", "high", "p", "p_adjusted"]
    assert len(frame) == len(expert_differences(board.standing)) and "top1_percent_of_gain" in set(frame["figure"])
    text = board.render("md")
    assert "## Experts in use: differences" in text
    item = next(item for item in expert_differences(board.standing) if item.figure == "top1")
    assert f"{item.value:.2f} [{item.low:.2f}, {item.high:.2f}], p = {item.p_adjusted:.4f}" in text


def test_boards_with_one_analysed_row_do_not_have_the_table(workshop):
    workshop.reference("base", 0.4, names=NAMES)
    analysed_row(workshop, "team", "teamlora", 0.7, seeds=(0, 1), names=NAMES)
    board = cme.load_board(workshop.entries)
    assert board.expert_pairs().empty and "Experts in use: differences" not in board.render("md")
    assert "## Experts in use" in board.render("md")


def changed_run(row, number, **changes):
    """A row with other values in the experts of one run."""
    run = row.runs[number]
    run = run.replace(experts=run.experts.replace(**changes))
    return row.replace(runs=(*row.runs[:number], run, *row.runs[number + 1 :]))


def with_row(standing, row):
    return replace(standing, rows=tuple(row if other.name == row.name else other for other in standing.rows))


def test_a_share_of_a_gain_that_may_be_0_is_not_averaged(rows):
    """A gain of 0.3 ± 2 points can make any share, such as -1000 %."""
    standing = standing_of(rows)
    team = next(row for row in standing.rows if row.name == "team")
    masks = team.runs[0].experts.redundancy
    wild = masks[2].share_of_gain["average"].replace(value=-10.0, low=None, high=None)
    masks = tuple(
        item.replace(share_of_gain={**item.share_of_gain, "average": wild}) if item.name == "top1" else item
        for item in masks
    )
    standing = with_row(standing, changed_run(team, 0, redundancy=masks))
    compared = {(item.figure, item.first, item.second) for item in expert_differences(standing)}
    assert not [item for item in compared if item[0] == "top1" and "team" in item]
    assert [item for item in compared if item[0] == "top1_renormalised" and "team" in item]


def test_effective_experts_are_compared_between_rows_of_equal_k_only(rows):
    standing = standing_of(rows)
    hydra = next(row for row in standing.rows if row.name == "hydra")
    for number in range(2):
        hydra = changed_run(hydra, number, experts=8)
    compared = expert_differences(with_row(standing, hydra))
    pairs = {
        figure: {frozenset((i.first, i.second)) for i in compared if i.figure == figure}
        for figure in ("effective", "entropy")
    }
    assert pairs["effective"] == {frozenset(("moelora", "team"))} and len(pairs["entropy"]) == 3
    only = next(item for item in compared if item.figure == "effective")
    assert only.p_adjusted == only.p, "a single pair needs no correction"


def test_the_entropy_is_shown_in_per_cent_of_ln_k(rows):
    board = cme.load_board(rows.entries)
    item = next(item for item in expert_differences(board.standing) if item.figure == "entropy")
    text = board.render("md")
    assert f"{100 * item.value:.2f} [{100 * item.low:.2f}, {100 * item.high:.2f}], p" in text
    assert text.count("entropy: % of ln k") == 2
