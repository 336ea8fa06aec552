"""Comparison of pairs of rows: against a plain loop, with hand calculations, and in edge cases."""

import dataclasses
from zlib import crc32

import numpy as np
import pytest

from cme.errors import UsageError
from cme.stats import Comparison, Difference, RankRange, compare, holm, make_panel
from cme.stats.bootstrap import Pairs
from cme.stats.compare import by_student, comparisons
from cme.stats.critical import Critical
from cme.stats.variance import seed_variances

SAMPLES, RUNS = 40, 3


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(1)
    return {
        row: {name: (rng.random((seeds, SAMPLES)) < level).astype(float) for name in "xy"}
        for row, level, seeds in (("one", 0.5, 1), ("two", 0.6, RUNS), ("three", 0.9, 1))
    }


CLUSTERS = {"x": [str(k // 3) for k in range(SAMPLES)], "y": [str(k) for k in range(SAMPLES)]}
WEIGHTS = {"x": 25.0, "y": 75.0}


def untrained_beside(scores):
    """The panel in which only the row with several seeds was trained, so that no row borrows a seed variance."""
    return make_panel(scores, CLUSTERS, untrained=[name for name in scores if name != "two"])


def loop_of_resamples(first, second, resamples):
    """Compute value, standard error and sorted |t| from the same draws with a loop over clusters."""

    def one(drawn):
        change = variance = 0.0
        for name, groups in drawn.items():
            values = np.concatenate(groups)
            sums = [np.sum(group - values.mean()) for group in groups]
            variance += WEIGHTS[name] ** 2 * len(groups) / (len(groups) - 1) * np.square(sums).sum() / len(values) ** 2
            change += WEIGHTS[name] * values.mean()
        return change, np.sqrt(variance)

    groups = {}
    for name, labels in CLUSTERS.items():
        difference = first[name].mean(axis=0) - second[name].mean(axis=0)
        groups[name] = [difference[np.array(labels) == label] for label in sorted(set(labels))]
    draws = {name: np.random.default_rng([7, crc32(name.encode())]) for name in groups}
    value, stderr = one(groups)
    statistics = []
    for _ in range(resamples):
        picked = {name: draws[name].integers(0, len(own), len(own)) for name, own in groups.items()}
        change, error = one({name: [own[k] for k in picked[name]] for name, own in groups.items()})
        statistics.append(abs(change - value) / error)
    return value, stderr, np.sort(statistics)


def test_the_bootstrap_is_that_of_a_plain_loop(scores):
    resamples = 600
    comparison = compare(untrained_beside(scores), WEIGHTS, resamples=resamples, seed=7)
    value, stderr, drawn = loop_of_resamples(scores["one"], scores["three"], resamples)
    difference = comparison.against("three")[0]
    assert (difference.value, difference.stderr) == pytest.approx((value, stderr))
    # The 571st of 600: 95 % of 601, rounded up.
    assert difference.high - difference.value == pytest.approx(drawn[570] * stderr, rel=1e-5)
    assert difference.value - difference.low == pytest.approx(drawn[570] * stderr, rel=1e-5)


def test_a_pair_depends_on_other_rows_by_the_seed_variance_only(scores):
    few = {name: scores[name] for name in ("three", "one")}
    (alone,) = compare(untrained_beside(few), WEIGHTS, resamples=300).differences
    among = compare(untrained_beside(scores), WEIGHTS, resamples=300).against("one")[1]
    uncorrected = ("value", "stderr", "low", "high", "p")
    assert (among.first, among.second) == (alone.first, alone.second)
    assert [getattr(among, key) for key in uncorrected] == pytest.approx([getattr(alone, key) for key in uncorrected])


@pytest.mark.parametrize("rows", [1, 2, 3, 24, 300])
def test_tiles_hold_every_pair_once_and_in_order(rows):
    pairs, values = Pairs.of(rows), np.random.default_rng(0).random((2, rows))
    tiles = pairs.tiles()
    places = [k for tile in tiles for k in range(len(pairs.first))[tile.place]]
    assert places == list(range(rows * (rows - 1) // 2))
    differences = [tile.minus(values) for tile in tiles]
    assert np.array_equal(np.concatenate([np.empty((2, 0)), *differences], axis=1), pairs.minus(values))
    assert rows != 300 or len(tiles) > 100


def test_pairs_do_not_depend_on_how_many_tiles_there_are(scores, monkeypatch):
    panel = make_panel(scores, CLUSTERS)
    once = compare(panel, WEIGHTS, resamples=300)
    monkeypatch.setattr("cme.stats.bootstrap._TILE", 1)
    apart = compare(panel, WEIGHTS, resamples=300)
    assert len(Pairs.of(3).tiles()) == 2
    for one, other in zip(once.differences, apart.differences, strict=True):
        assert (one.low, one.p) == pytest.approx((other.low, other.p), abs=1e-12)


def test_a_difference_turned_round():
    pair = Difference("a", "b", 1.0, 0.4, 0.2, 1.8, 0.01, 0.03, True, ("b",))
    assert pair.reversed() == dataclasses.replace(pair, first="b", second="a", value=-1.0, low=-1.8, high=-0.2)
    assert pair.reversed().reversed() == pair


def test_rows_with_one_seed_are_named(scores):
    differences = compare(make_panel(scores, CLUSTERS), WEIGHTS, resamples=100).differences
    assert [item.one_seed for item in differences] == [("one",), ("one", "three"), ("three",)]
    differences = compare(untrained_beside(scores), WEIGHTS, resamples=100).differences
    assert [item.one_seed for item in differences] == [(), (), ()]


def test_a_method_with_one_seed_borrows_the_seed_variance(scores):
    borrowed, untrained = (
        compare(panel, WEIGHTS, resamples=300).against("three")[0]
        for panel in (make_panel(scores, CLUSTERS), untrained_beside(scores))
    )
    seeds = seed_variances(make_panel(scores, CLUSTERS), np.array([25.0, 75.0]))
    assert seeds.variance[0] == seeds.variance[2] > 0
    assert borrowed.stderr**2 == pytest.approx(untrained.stderr**2 + 2 * seeds.variance[0])
    # At most D = 2 degrees of freedom, the number of those that the table has: the interval is wider than its error alone.
    ratio = (borrowed.high - borrowed.value) / (untrained.high - untrained.value)
    assert ratio > 1.2 * borrowed.stderr / untrained.stderr


def test_the_interval_and_the_p_value_agree(scores):
    rng = np.random.default_rng(3)
    more = {f"row {k}": {name: rng.random((1, SAMPLES)) < 0.3 + 0.08 * k for name in "xy"} for k in range(7)}
    differences = compare(make_panel(scores | more, CLUSTERS), WEIGHTS, resamples=999).differences
    inside = [item.low <= 0 <= item.high for item in differences]
    assert inside == [item.p > 0.05 for item in differences]
    assert any(inside)
    assert not all(inside)


def test_seed_variance_widens_the_interval():
    runs = np.array([[0.4], [0.5], [0.6]]) + np.zeros((3, 20)) + np.linspace(-0.1, 0.1, 20)
    other = np.linspace(0.2, 0.3, 20)[None]
    clusters = {"x": [str(k) for k in range(20)]}
    one, three = (
        compare(panel, {"x": 1.0}, resamples=200).differences[0]
        for part in (runs[1:2], runs)
        for panel in [make_panel({"a": {"x": part}, "b": {"x": other}}, clusters, untrained=["b"])]
    )
    # Three runs .1 apart: variance .01, of their mean .01 / 3.
    assert three.stderr**2 == pytest.approx(one.stderr**2 + 0.01 / 3)
    # t of 97.5 % at two degrees of freedom: 4.303.
    assert 4.0 * three.stderr < three.high - three.value < 4.303 * three.stderr


def test_equal_rows_are_tied():
    panel = make_panel({name: {"x": [1.0, 0.0, 1.0, 1.0]} for name in "abc"}, {"x": list("pqrs")})
    comparison = compare(panel, {"x": 100.0}, resamples=100)
    for item in comparison.differences:
        assert (item.value, item.stderr, item.low, item.high, item.p, item.p_adjusted) == (0, 0, 0, 0, 1, 1)
    assert set(comparison.rank_ranges().values()) == {RankRange(1, 3)}


@pytest.mark.parametrize(("samples", "p"), [(3, 1 / 4), (30, 1 / 1001)])
def test_the_same_difference_everywhere_is_no_stronger_than_its_signs(samples, p):
    panel = make_panel(
        {"a": {"x": [1.0] * samples}, "b": {"x": [0.0] * samples}}, {"x": [str(k) for k in range(samples)]}
    )
    (item,) = compare(panel, {"x": 100.0}, resamples=1000).differences
    assert (item.value, item.stderr, item.p) == (100, 0, p)


def test_few_differing_answers_prove_little():
    # Four of 64 differ, all in one direction: t = 2.05 passes for significant, an exact test of signs gives p = 1/8.
    first, second = np.ones(64), np.ones(64)
    second[:4] = 0
    panel = make_panel({"a": {"x": first}, "b": {"x": second}}, {"x": [str(k) for k in range(64)]})
    (item,) = compare(panel, {"x": 100.0}, resamples=4000).differences
    assert item.value / item.stderr > 2
    assert item.p > 0.05
    assert item.low < 0


@pytest.mark.parametrize(
    ("clusters", "options", "message"),
    [
        (list("aaaa"), {}, "all samples of x share one cluster"),
        (list("abcd"), {"resamples": 10}, "at least 20"),
        (list("abcd"), {"alpha": 0.0}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(clusters, options, message):
    panel = make_panel({"a": {"x": [1.0, 0.0, 1.0, 1.0]}, "b": {"x": [1.0, 1.0, 0.0, 1.0]}}, {"x": clusters})
    with pytest.raises(UsageError, match=message):
        compare(panel, {"x": 100.0}, **options)


def test_one_row_alone_has_rank_one():
    comparison = compare(make_panel({"a": {"x": [1.0, 0.0]}}, {"x": ["p", "q"]}), {"x": 100.0}, resamples=100)
    assert (comparison.differences, comparison.detectable()) == ((), None)
    assert comparison.rank_ranges() == {"a": RankRange(1, 1)}
    with pytest.raises(UsageError, match="unknown row 'b'"):
        comparison.against("b")


def test_holm_by_hand():
    # Smallest first: 4 · .01, 3 · .012, 2 · .03, 1 · .5, each at least the one before.
    assert holm(np.array([0.03, 0.01, 0.5, 0.012])) == pytest.approx([0.06, 0.04, 0.5, 0.04])
    assert holm(np.array([0.6, 0.9])) == pytest.approx([1.0, 1.0])


def test_rank_ranges_by_hand():
    # a is significantly better than c. Both are tied with b.
    values = {("a", "b"): (0.5, False), ("a", "c"): (1.0, True), ("b", "c"): (0.5, False)}
    differences = tuple(
        Difference(first, second, value, 0.3, value - 0.6, value + 0.6, 0.1, 0.1, significant, ())
        for (first, second), (value, significant) in values.items()
    )
    comparison = Comparison(("a", "b", "c"), differences, 0.05, 100)
    assert comparison.rank_ranges() == {"a": RankRange(1, 2), "b": RankRange(1, 3), "c": RankRange(2, 3)}
    # Half an interval .6 and .8416 · .3.
    assert comparison.detectable() == pytest.approx(0.8525, abs=1e-4)


def test_the_detectable_difference_of_some_rows_is_the_median_of_their_pairs():
    stderrs = {
        ("a", "b"): 0.1,
        ("a", "c"): 0.2,
        ("a", "base"): 1.0,
        ("b", "c"): 0.4,
        ("b", "base"): 2.0,
        ("c", "base"): 3.0,
    }
    differences = tuple(
        Difference(first, second, 0.0, stderr, -2 * stderr, 2 * stderr, 1.0, 1.0, False, ())
        for (first, second), stderr in stderrs.items()
    )
    comparison = Comparison(("a", "b", "c", "base"), differences, 0.05, 100)
    # (2 + .8416) · the median of the standard errors: .2 among three rows, and .7 among all.
    assert comparison.detectable(among=("a", "b", "c")) == pytest.approx(0.5683, abs=1e-4)
    assert comparison.detectable() == pytest.approx(1.9891, abs=1e-4)
    assert comparison.detectable(among=("a",)) is None


@pytest.mark.parametrize("statistic", [1.0, 2.0, 4.0, 6.0])
def test_p_values_beyond_the_resamples_follow_the_tail(statistic):
    from scipy.special import stdtr, stdtrit

    # Resamples at the exact quantiles of Student's t at 12 degrees of freedom.
    total = 2001
    drawn = stdtrit(12, 1 - np.arange(total - 1, 0, -1) / total / 2).astype(np.float32)
    sample, freedom, seeds, share, seed_freedom = np.array([[0.25], [12.0], [0.0], [0.0], [1.0]])
    p_values = Critical(drawn[None], sample, freedom, seeds, share, seed_freedom).p_value(np.array([statistic * 0.5]))
    assert p_values == pytest.approx([2 * stdtr(12, -statistic)], rel=0.01)


def test_many_clusters_give_the_interval_of_the_normal_distribution(monkeypatch):
    rng = np.random.default_rng(0)
    first, second = (rng.random((2, 6000)) < 0.6).astype(float)
    panel = make_panel({"a": {"x": first}, "b": {"x": second}}, {"x": [str(k) for k in range(6000)]})
    (item,) = compare(panel, {"x": 100.0}).differences
    assert (item.high - item.low) / 2 == pytest.approx(1.96 * item.stderr, rel=0.02)
    # Drawing with replacement gives the same within the noise of the resamples.
    monkeypatch.setattr("cme.stats.bootstrap._MANY", 10**9)
    (drawn,) = compare(panel, {"x": 100.0}).differences
    assert (item.low, item.high) == pytest.approx((drawn.low, drawn.high), abs=0.06)
    assert (item.low, item.high) != (drawn.low, drawn.high)


def test_counts_of_many_clusters_are_poisson_and_do_not_depend_on_the_block():
    from cme.stats.bootstrap import _poisson_counts

    counts = _poisson_counts(np.random.default_rng(0), 100, 10_001)
    assert counts.mean() == pytest.approx(1, abs=0.005)
    assert counts.var() == pytest.approx(1, abs=0.01)
    # e⁻¹ (1, 1, 1/2, 1/6).
    shares = np.bincount(counts.astype(int).ravel())[:4] / counts.size
    assert shares == pytest.approx(np.exp(-1) / np.array([1, 1, 2, 6]), abs=0.002)
    rng = np.random.default_rng(0)
    assert np.array_equal(counts, np.concatenate([_poisson_counts(rng, size, 10_001) for size in (1, 99)]))


def test_the_parts_of_a_standard_error():
    rng = np.random.default_rng(0)
    scores = {
        row: {"x": rng.random((3, 60)) + shift[:, None]}
        for row, shift in zip("ab", rng.normal(0, 0.3, (2, 3)), strict=True)
    }
    panel = make_panel(scores, {"x": [str(k) for k in range(60)]})
    (item,) = compare(panel, {"x": 1.0}, resamples=1000).differences
    seeds = seed_variances(panel, np.array([1.0])).variance.sum()
    assert item.stderr**2 - item.sample_stderr**2 == pytest.approx(seeds)
    assert item.seed_share == pytest.approx(seeds / item.stderr**2)
    alone = make_panel(
        {row: {"x": of["x"].mean(axis=0)} for row, of in scores.items()}, {"x": [str(k) for k in range(60)]}
    )
    (same,) = compare(alone, {"x": 1.0}, resamples=1000).differences
    assert item.sample_half_width == pytest.approx((same.high - same.low) / 2)
    assert same.seed_share == 0


def test_a_comparison_by_student_agrees_with_the_bootstrap():
    rng = np.random.default_rng(0)
    panel = make_panel({row: {"x": rng.random(400)} for row in "ab"}, {"x": [str(k) for k in range(400)]})
    (drawn,), (computed,) = compare(panel, {"x": 1.0}).differences, by_student(panel, {"x": 1.0}).differences
    assert (computed.value, computed.stderr) == (drawn.value, drawn.stderr)
    assert computed.high == pytest.approx(computed.value + 1.9659 * computed.stderr, rel=1e-3)  # t with 399
    assert computed.p == pytest.approx(drawn.p, abs=0.02)


def test_several_levels_share_their_resamples(scores):
    panel = make_panel(scores, CLUSTERS)
    wide, narrow = comparisons(panel, WEIGHTS, [0.01, 0.2], resamples=500)
    assert wide == compare(panel, WEIGHTS, alpha=0.01, resamples=500)
    assert narrow == compare(panel, WEIGHTS, alpha=0.2, resamples=500)
