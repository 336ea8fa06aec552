"""Plans from the results and entries of a pilot."""

import pytest

from cme.errors import UsageError
from cme.leaderboard.ranking.planning import plan_from
from cme.leaderboard.ranking.sides import read_sides
from cme.suite import datasets
from cme.suite.prices import row_tokens
from tests.leaderboard.workshop import Workshop, make_samples

NAMES = ("qqp", "rte", "arc")


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Two methods with three seeds and a base, which record 247.4 s of training and 1.5 s of evaluation."""
    shop = Workshop(tmp_path_factory.mktemp("pilot"))
    shop.row("lora", "lora", 0.6, seeds=(0, 1, 2), rows=60, names=NAMES)
    shop.row("team", "teamlora", 0.7, seeds=(0, 1, 2), rows=60, names=NAMES)
    shop.reference("base", 0.4, rows=60, names=NAMES)
    return read_sides({f"={name}": [shop.entries / f"{name}.json"] for name in ("lora", "team", "base")})


def test_each_split_detects_the_difference(sides):
    planned = plan_from(sides, difference=12, power=0.8)
    assert [item.seeds for item in planned.splits] == list(range(1, 11))
    assert planned.pilot == ("lora", "team")
    for item in planned.splits:
        if item.each is None:
            assert item.detectable > 12 and item.hours is None and item.tokens is None
            continue
        samples = planned.parts.samples(item.each, planned.available)
        assert planned.parts.detectable(item.seeds, samples, 0.8) <= 12 and item.detectable <= 12
        counts = {name: min(item.each, datasets()[name].rows["eval"]) for name in NAMES}
        assert item.samples == sum(counts.values())
        assert item.tokens == pytest.approx(2 * item.seeds * sum(n * row_tokens(name) for name, n in counts.items()))
    needed = [item.each for item in planned.splits[1:] if item.each is not None]
    assert needed == sorted(needed, reverse=True) and needed


def test_hours_are_those_of_the_pilot(sides):
    planned = plan_from(sides, difference=12, power=0.8)
    per_token = 1.5 / (60 * sum(map(row_tokens, NAMES)))
    assert planned.training_seconds == pytest.approx(247.4)
    assert planned.seconds_per_token == pytest.approx(per_token)
    for item in planned.splits:
        assert item.training_hours == pytest.approx(2 * item.seeds * 247.4 / 3600)
        if item.each is not None:
            assert item.hours == pytest.approx(item.training_hours + item.tokens * per_token / 3600)
    longer = plan_from(sides, difference=12, power=0.8, training_hours=1.0)
    assert longer.splits[2].training_hours == pytest.approx(6.0)


def test_the_best_plan_is_the_cheapest(sides):
    planned = plan_from(sides, difference=12, power=0.8)
    hours = [item.hours for item in planned.splits[1:] if item.hours is not None]
    assert planned.best.hours == pytest.approx(min(hours)) and planned.best.seeds > 1
    # Dear trainings make fewer seeds with more samples the best.
    dear = plan_from(sides, difference=12, power=0.8, training_hours=1000)
    assert dear.best.seeds <= planned.best.seeds and dear.best.each >= planned.best.each


def test_smaller_differences_and_more_power_need_more(sides):
    first = plan_from(sides, difference=12, power=0.8).best
    assert plan_from(sides, difference=8, power=0.8).best.tokens > first.tokens
    assert plan_from(sides, difference=12, power=0.95).best.tokens > first.tokens


def test_a_budget_is_split_by_the_formula(sides):
    planned = plan_from(sides, difference=12, power=0.8)
    parts, one_each = planned.parts, sum(map(row_tokens, NAMES)) * planned.seconds_per_token
    seeds, samples = planned.budget(10)
    own, shared = parts.own.sum(), parts.shared.sum()
    assert samples == pytest.approx(((own * 247.4 + shared * 5 * 3600) / (parts.seeds * one_each)) ** 0.5)
    assert seeds == pytest.approx(5 * 3600 / (247.4 + one_each * samples))
    with pytest.raises(
        UsageError, match=r"0\.1 hours do not pay for one run of each method. Their training alone takes 0\.14"
    ):
        planned.budget(0.1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"difference": 0}, "the difference is 0"),
        ({"difference": float("nan")}, "the difference is nan"),
        ({"power": 1.0}, "the power is 100 %"),
        ({"power": -0.1}, "the power is -10 %"),
        ({"training_hours": -1}, "the training takes -1 hours"),
    ],
)
def test_numbers_out_of_range_are_refused(sides, values, message):
    with pytest.raises(UsageError, match=message):
        plan_from(sides, **({"difference": 1.0, "power": 0.8} | values))


def test_pilots_without_two_methods_or_seeds_are_refused(sides):
    with pytest.raises(UsageError, match="at least two trained methods"):
        plan_from([sides[0], sides[2]], difference=1, power=0.8)
    with pytest.raises(UsageError, match="at least two trained methods"):
        plan_from([sides[2]], difference=1, power=0.8)


def test_times_that_were_not_recorded_leave_hours_open(tmp_path):
    shop = Workshop(tmp_path)
    results = {name: shop.seeds(name, 0.5, NAMES) for name in "ab"}
    planned = plan_from(read_sides(results), difference=20, power=0.8)
    unknown = shop.result("unknown", make_samples(0.9, "u", 60, NAMES), base="x", base_fingerprint="f" * 64)
    again = plan_from(read_sides(results | {"unknown": [unknown]}), difference=20, power=0.8)
    assert again.parts.seeds == planned.parts.seeds and again.splits == planned.splits, "it may be a base"
    assert planned.training_seconds is None and all(item.hours is None for item in planned.splits)
    assert planned.best.seeds == min(item.seeds for item in planned.splits[1:] if item.each is not None)
    with pytest.raises(UsageError, match="recorded no training times"):
        planned.budget(10)
