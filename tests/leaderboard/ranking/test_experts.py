"""What the experts of a row do, over its seeds."""

import numpy as np
import pytest

from cme.leaderboard.ranking.experts import expert_columns, expert_values, row_experts, standing_experts
from tests.leaderboard.analyses import analysed_row
from tests.leaderboard.pages import standing_of

NAMES = ("qqp", "anli", "nq_open", "mmlu")


@pytest.fixture
def rows(workshop):
    workshop.reference("base", 0.4, names=NAMES)
    workshop.row("lora", "lora", 0.6, settings={"rank": 8}, names=NAMES)
    analysed_row(workshop, "moelora", "moelora", 0.6, names=NAMES)
    analysed_row(workshop, "team", "teamlora", 0.9, seeds=(0, 1, 2), names=NAMES)
    return workshop


def test_several_seeds_give_a_mean_with_an_interval_over_seeds(rows):
    from scipy import stats

    standing = standing_of(rows)
    assert set(standing_experts(standing)) == {"moelora", "team"}
    team = next(row for row in standing.rows if row.name == "team")
    experts = row_experts(team)
    values = [run.experts.load.effective for run in team.runs]
    assert experts.effective.value == pytest.approx(np.mean(values))
    interval = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (experts.effective.low, experts.effective.high) == pytest.approx(interval)
    shares = [100 * run.experts.redundancy[2].share_of_gain["average"].value for run in team.runs]
    assert team.runs[0].experts.redundancy[2].name == "top1" and not experts.undefined
    assert experts.top1.value == pytest.approx(np.mean(shares))
    assert (experts.seeds, experts.runs, experts.p) == (3, 3, 0.01)


def test_one_seed_has_the_interval_over_samples(rows):
    row = next(row for row in standing_of(rows).rows if row.name == "moelora")
    experts, run = row_experts(row), row.runs[0].experts
    share = run.redundancy[2].share_of_gain["average"]
    assert (experts.top1.value, experts.top1.low) == pytest.approx((100 * share.value, 100 * share.low))
    assert (experts.effective.value, experts.effective.low) == (run.load.effective, None)


def test_the_best_expert_of_each_seed_and_the_shares_of_the_score(rows):
    team = next(row for row in standing_of(rows).rows if row.name == "team")
    experts = row_experts(team)
    by_seed = [{item.name: item for item in run.experts.redundancy} for run in team.runs]
    best = [
        max((masks[f"keep-{k}"] for k in range(4)), key=lambda item: item.score["average"].value) for masks in by_seed
    ]
    assert experts.single.value == pytest.approx(np.mean([100 * item.share_of_gain["average"].value for item in best]))
    score = [
        100 * item.score["average"].value / masks["all"].score["average"].value
        for item, masks in zip(best, by_seed, strict=True)
    ]
    assert experts.single_score.value == pytest.approx(np.mean(score))
    top1 = [100 * m["top1"].score["average"].value / m["all"].score["average"].value for m in by_seed]
    assert (
        experts.top1_score.value == pytest.approx(np.mean(top1)) and experts.top1_score.low < experts.top1_score.value
    )
    assert expert_values(experts)["best_expert_percent_of_score"] == round(experts.single_score.value, 6)
    # One seed: the best of four was chosen on the same samples, so there is no interval over samples.
    one = row_experts(next(row for row in standing_of(rows).rows if row.name == "moelora"))
    assert one.single.value is not None and (one.single.low, one.single_score.low) == (None, None)
    assert one.top1_score.low is not None


def test_the_best_expert_is_unknown_unless_each_expert_was_evaluated_alone(rows):
    row = next(row for row in standing_of(rows).rows if row.name == "moelora")
    first = row.runs[0].experts
    masks = tuple(item for item in first.redundancy if item.name != "keep-3")
    row = row.replace(runs=(row.runs[0].replace(experts=first.replace(redundancy=masks)),))
    assert row_experts(row).single is None and row_experts(row).single_score is None


def test_a_figure_that_is_undefined_for_one_seed_is_absent(rows):
    row = next(row for row in standing_of(rows).rows if row.name == "team")
    first = row.runs[0].experts
    agreement = first.shapley.agreement.replace(value=None, low=None, high=None)
    changed = first.replace(shapley=first.shapley.replace(agreement=agreement))
    row = row.replace(runs=(row.runs[0].replace(experts=changed), *row.runs[1:]))
    assert row_experts(row).agreement is None and row_experts(row).soft_agreement is not None
    without = row.replace(runs=(row.runs[0].replace(experts=None), *row.runs[1:]))
    assert (row_experts(without).seeds, row_experts(without).runs) == (2, 3)


@pytest.mark.parametrize(("name", "tier"), [("team", "quick"), ("moelora", "quick"), ("moelora", "smoke")])
def test_a_share_without_an_interval_is_undefined_if_the_tier_has_intervals(rows, name, tier):
    row = next(row for row in standing_of(rows).rows if row.name == name).replace(tier=tier)
    first = row.runs[0].experts
    wild = first.redundancy[2].share_of_gain["average"].replace(value=-10.0, low=None, high=None)
    masks = tuple(
        item.replace(share_of_gain={**item.share_of_gain, "average": wild}) if item.name == "top1" else item
        for item in first.redundancy
    )
    row = row.replace(runs=(row.runs[0].replace(experts=first.replace(redundancy=masks)), *row.runs[1:]))
    experts = row_experts(row)
    if tier == "smoke":
        assert (experts.top1.value, experts.undefined) == (-1000, False)
    else:
        assert (experts.top1, experts.undefined) == (None, True) and experts.top1_renormalised is not None
        assert expert_values(experts)["top1_percent_of_gain"] is None


def test_columns_are_the_same_with_and_without_values(rows):
    experts = standing_experts(standing_of(rows))["team"]
    assert list(expert_values(experts)) == expert_columns() and len(set(expert_columns())) == len(expert_columns())
    assert all(value is None for value in expert_values(None).values())
    assert expert_values(experts)["effective_experts"] == round(experts.effective.value, 6)
