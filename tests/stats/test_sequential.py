"""Looks at growing numbers of samples: when they stop, what they request, and what they keep."""

import json

import numpy as np
import pytest

from cme.errors import UsageError
from cme.stats import compare, make_panel
from cme.stats.sequential import FIRST_ROWS, Sequential, run_looks, start, take_look
from cme.stats.until import INTERIM_LEVEL, LAST_LEVEL, LOOKS, PRECISION_LEVEL, Until

SIZES = {"small": 300, "middle": 800, "large": 20_000}
WEIGHTS = dict.fromkeys(SIZES, 100 / 3)
PRICES = {"small": 50.0, "middle": 200.0, "large": 100.0}


def scores_of(*levels, sizes=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    return {
        f"row {m}": {name: (rng.random(count) < level).astype(float) for name, count in sizes.items()}
        for m, level in enumerate(levels)
    }


def prefixes(scores, in_clusters_of=1):
    """Return the function that makes the panel of the first samples."""

    def panel_of(rows):
        labels = {name: [str(k // in_clusters_of) for k in range(count)] for name, count in rows.items()}
        return make_panel(
            {m: {name: of[name][:count] for name, count in rows.items()} for m, of in scores.items()}, labels
        )

    return panel_of


def begun(until, sizes=SIZES):
    return start(Until.parse(until), weights=dict.fromkeys(sizes, 100 / len(sizes)), prices=PRICES, available=sizes)


def run(until, *levels, seed=0, resamples=2000):
    return run_looks(begun(until), prefixes(scores_of(*levels, seed=seed)), resamples=resamples)


def test_the_first_look_has_64_samples_or_all():
    assert begun("1").next_rows == dict.fromkeys(SIZES, FIRST_ROWS)
    assert begun("1", {"small": 10}).next_rows == {"small": 10}


def test_precision_ends_when_the_half_width_is_reached_and_not_before():
    state = run("5", 0.6, 0.6)
    assert (state.reason, state.next_rows) == ("precise", None)
    assert state.last.items[0].half_width <= 5
    assert all(look.items[0].half_width > 5 for look in state.looks[:-1])
    assert {look.level for look in state.looks} == {PRECISION_LEVEL}
    for before, after in zip(state.looks, state.looks[1:], strict=False):
        assert all(after.rows[name] >= before.rows[name] for name in SIZES)
        assert sum(after.rows.values()) > sum(before.rows.values())


def test_a_large_difference_is_decided_early_at_the_strict_level():
    state = run("decided:1", 0.9, 0.3)
    (item,) = state.last.items
    assert (state.reason, len(state.looks), item.decided_at) == ("decided", 1, 1)
    assert state.last.level == INTERIM_LEVEL
    assert item.p <= INTERIM_LEVEL
    assert item.low > 0


def test_a_large_difference_does_not_end_a_run_that_waits_for_precision():
    state = run("5", 0.9, 0.3)
    assert state.reason == "precise"
    assert len(state.looks) > 1
    assert [look.items[0].decided_at for look in state.looks] == [None] * (len(state.looks) - 1) + [len(state.looks)]


def test_equal_rows_end_undecided_at_the_last_look_with_its_level():
    # All 20,000 samples would not reach ±1: the small dataset is too small.
    state = run("decided:1", 0.6, 0.6)
    assert (state.reason, len(state.looks)) == ("last look", LOOKS)
    assert [look.level for look in state.looks] == [INTERIM_LEVEL] * (LOOKS - 1) + [LAST_LEVEL]
    # The last few percent of precision are not bought.
    assert state.last.rows["large"] < SIZES["large"] / 2


def test_the_interval_is_that_of_a_comparison_at_the_level_of_the_look():
    panel_of = prefixes(scores_of(0.65, 0.6))
    first = take_look(begun("decided:1"), panel_of(dict.fromkeys(SIZES, 64)))
    for level, look in ((INTERIM_LEVEL, first.last), (LAST_LEVEL, run("decided:1", 0.65, 0.6, resamples=10_000).last)):
        (expected,) = compare(panel_of(look.rows), WEIGHTS, alpha=level).differences
        (item,) = look.items
        assert (item.value, item.low, item.high, item.p) == (expected.value, expected.low, expected.high, expected.p)


def test_pairs_that_were_decided_leave_the_correction_and_the_allocation():
    scores = scores_of(0.9, 0.6, 0.6)
    state = run_looks(begun("decided:4"), prefixes(scores), resamples=2000)
    assert [item.decided_at for item in state.looks[0].items] == [1, 1, None]
    assert state.reason == "precise"
    for look in state.looks[1:]:
        *early, last = look.items
        assert [item.p_adjusted for item in early] == [0, 0]
        assert last.p_adjusted == last.p
    assert state.last.items[2].half_width <= 4


def test_cheap_and_uncertain_datasets_get_more_samples():
    sizes = {"certain": 20_000, "cheap": 20_000, "dear": 20_000}
    scores = scores_of(0.6, 0.6, sizes=sizes)
    for of_row in scores.values():
        of_row["certain"][100:] = 1.0
    state = start(
        Until(2), weights=dict.fromkeys(sizes, 100 / 3), prices={"certain": 1, "cheap": 1, "dear": 25}, available=sizes
    )
    rows = run_looks(state, prefixes(scores), resamples=2000).last.rows
    assert rows["cheap"] > 3 * rows["dear"]
    assert rows["cheap"] > 2 * rows["certain"]


def test_clusters_cost_samples():
    sizes = {"x": 20_000}
    rng = np.random.default_rng(0)
    scores = {f"row {m}": {"x": np.repeat((rng.random(4000) < 0.6).astype(float), 5)} for m in range(2)}
    state = start(Until(3), weights={"x": 100.0}, prices={"x": 1.0}, available=sizes)
    alone, together = (run_looks(state, prefixes(scores, size), resamples=2000) for size in (1, 5))
    assert together.last.rows["x"] > 3 * alone.last.rows["x"]


def test_one_row_alone_stops_by_the_precision_of_its_mean():
    state = run("3", 0.6)
    (item,) = state.last.items
    assert (state.reason, item.second, item.p, item.decided_at) == ("precise", None, None, None)
    assert item.half_width <= 3
    with pytest.raises(UsageError, match="compares rows, but there is only 'row 0'"):
        run("decided:3", 0.6)


def test_a_half_width_that_all_samples_miss_by_far_is_refused_with_what_they_reach():
    with pytest.raises(UsageError, match=r"±0\.1 points cannot be reached. All 21,100 samples would give about ±\d"):
        run("0.1", 0.6, 0.6)


def test_one_that_they_barely_miss_ends_with_all_samples():
    # The first look is too uncertain to refuse it.
    state = run("2.9", 0.6, 0.6)
    assert state.reason == "exhausted"
    assert state.last.rows == SIZES
    assert 2.9 < state.last.items[0].half_width < 2.9 * 1.3


def test_rows_that_differ_in_one_sample_are_not_refused():
    """The bootstrap of a single different sample has a far too wide interval, which says nothing about more samples."""
    scores = scores_of(0.6)
    other = {name: np.array(values, dtype=float) for name, values in scores["row 0"].items()}
    first = next(iter(other))
    other[first][3] = 1 - other[first][3]
    state = run_looks(begun("1"), prefixes({"a": scores["row 0"], "b": other}), resamples=2000)
    assert state.reason == "precise"
    assert state.last.items[0].half_width <= 1


def test_rows_that_answer_alike_need_one_look():
    scores = scores_of(0.6)
    state = run_looks(begun("decided:1"), prefixes({"a": scores["row 0"], "b": scores["row 0"]}), resamples=2000)
    assert (state.reason, len(state.looks)) == ("precise", 1)


def test_the_same_scores_give_the_same_looks_and_json_keeps_them():
    state = run("decided:1", 0.65, 0.6)
    assert run("decided:1", 0.65, 0.6) == state
    assert Sequential.read(json.loads(json.dumps(state.plain(), allow_nan=False))) == state


def test_an_interrupted_run_continues_from_its_values():
    panel_of = prefixes(scores_of(0.65, 0.6))
    whole = run_looks(begun("decided:2"), panel_of, resamples=2000)
    state = begun("decided:2")
    while state.next_rows is not None:
        state = Sequential.read(json.loads(json.dumps(state.plain())))
        state = take_look(state, panel_of(state.next_rows), resamples=2000)
    assert state == whole


def test_seeds_do_not_keep_a_run_going():
    rng = np.random.default_rng(0)
    levels = rng.normal(0.6, 0.05, (2, 3))
    scores = {
        f"row {m}": {name: (rng.random((3, count)) < levels[m][:, None]).astype(float) for name, count in SIZES.items()}
        for m in range(2)
    }

    def panel_of(rows):
        cut = {m: {name: of[name][:, :count] for name, count in rows.items()} for m, of in scores.items()}
        return make_panel(cut, {name: [str(k) for k in range(count)] for name, count in rows.items()})

    state = run_looks(begun("4"), panel_of, resamples=2000)
    (item,) = state.last.items
    assert state.reason == "precise"
    assert item.half_width <= 4 < (item.high - item.low) / 2
    assert item.stderr > item.sample_stderr


def test_misuse_is_refused():
    panel_of = prefixes(scores_of(0.6, 0.6))
    with pytest.raises(UsageError, match="needs 64 samples of small, but there are 63"):
        take_look(begun("1"), panel_of(dict.fromkeys(SIZES, 63)))
    with pytest.raises(UsageError, match="has ended"):
        take_look(run("decided:1", 0.9, 0.3), panel_of(dict.fromkeys(SIZES, 64)))
    with pytest.raises(UsageError, match="x has 0 samples at a price of 1"):
        start(Until(1), weights={"x": 1.0}, prices={"x": 1.0}, available={"x": 0})
    with pytest.raises(UsageError, match="share one cluster"):
        take_look(begun("1"), prefixes(scores_of(0.6, 0.6), 1000)(dict.fromkeys(SIZES, 64)))
    with pytest.raises(UsageError, match="all samples of small, middle, large share one cluster"):
        take_look(begun("1"), prefixes(scores_of(0.6), 1000)(dict.fromkeys(SIZES, 64)))
