"""Differences between rows with the same seeds: what a seed adds to all rows cancels."""

import numpy as np
import pytest

from cme.stats import estimates, make_panel
from cme.stats.compare import by_student
from cme.stats.variance import paired_by_seed, seed_variances


def paired_scores(rng, rows, seeds, effect):
    """Scores in [0, 1] whose runs differ by an effect of the seed that is the same for all rows, and by their samples."""
    samples = rng.random((1, 40)) * 0.2
    return {
        f"row {row}": {"d": samples + effect[:, None] + 0.02 * rng.random((seeds, 40)) + 0.01 * row}
        for row in range(rows)
    }


def test_what_a_seed_adds_to_all_rows_cancels_in_their_differences():
    rng = np.random.default_rng(0)
    scores = paired_scores(rng, 3, 3, np.array([0.0, 0.3, 0.6]))
    scores["base"] = {"d": rng.random(40) * 0.2}
    clusters = {"d": [str(k) for k in range(40)]}
    known = {**{f"row {row}": [0, 1, 2] for row in range(3)}, "base": [None]}
    unknown, paired = (
        by_student(make_panel(scores, clusters, untrained=["base"], seeds=seeds), {"d": 100.0})
        for seeds in (None, known)
    )
    for before, after in zip(unknown.differences, paired.differences, strict=True):
        assert after.value == pytest.approx(before.value) and after.sample_stderr == pytest.approx(before.sample_stderr)
        if "base" in (after.first, after.second):
            assert after.stderr == pytest.approx(before.stderr), "the base has no seed that could cancel"
        else:
            assert after.stderr < before.stderr / 20
    estimate = estimates(make_panel(scores, clusters, untrained=["base"], seeds=known), {"d": 100.0})[0]
    assert estimate.seed_stderr > 15, "a row's own interval contains the whole effect of the seeds"


@pytest.mark.parametrize(
    ("rows", "seeds", "paired"), [(2, 3, False), (2, 5, True), (3, 3, True), (4, 2, False), (5, 2, True)]
)
def test_seeds_are_paired_if_enough_degrees_of_freedom_are_left(rows, seeds, paired):
    rng = np.random.default_rng(1)
    scores = paired_scores(rng, rows, seeds, rng.random(seeds) * 0.5)
    panel = make_panel(scores, {"d": [str(k) for k in range(40)]}, seeds={row: range(seeds) for row in scores})
    assert (paired_by_seed(panel) is not None) == paired
    alone = make_panel(scores, {"d": [str(k) for k in range(40)]})
    known, unknown = (by_student(item, {"d": 100.0}).differences[0].stderr for item in (panel, alone))
    assert (known < unknown / 5) if paired else known == unknown


@pytest.mark.parametrize(
    ("other", "freedom"),
    [
        ([1, 0, -1], 2),  # as one row of three seeds: S - 1
        ([1, -2, 1], 4),  # nothing in common: R (S - 1)
        ([0.5, 0, -0.5], 2.5**2 / ((2.25**2 + 0.25**2) / 2)),  # sums of squares 2.25 between seeds, and 0.25 left
    ],
)
def test_rows_that_seeds_move_alike_know_less_about_the_spread_between_seeds(other, freedom):
    runs = {"one": np.array([1.0, 0, -1]), "other": np.array(other, dtype=float), "base": np.zeros(1)}
    scores = {row: {"d": np.add.outer(0.5 + 0.1 * values, [-0.1, -0.1, 0.1, 0.1])} for row, values in runs.items()}
    known = {"one": [0, 1, 2], "other": [0, 1, 2], "base": [None]}
    widths = {}
    for name, seeds in (("same", known), ("others", {**known, "other": [3, 4, 5]}), ("unknown", None)):
        panel = make_panel(scores, {"d": list("abcd")}, untrained=["base"], seeds=seeds)
        found = seed_variances(panel, np.array([1.0]))
        assert found.freedom == pytest.approx([freedom, freedom, 0] if name == "same" else [4, 4, 0])
        assert found.pooled == 4
        own = estimates(panel, {"d": 100.0})[0]
        (to_base,) = (
            item for item in by_student(panel, {"d": 100.0}).differences if {item.first, item.second} == {"one", "base"}
        )
        widths[name] = np.array([own.high - own.low, to_base.high - to_base.low])
    assert widths["others"] == pytest.approx(widths["unknown"])
    if freedom < 4:
        assert np.all(widths["same"] > 1.02 * widths["unknown"]), (
            "the row's own interval, and its difference from the base"
        )
    else:
        assert widths["same"] == pytest.approx(widths["unknown"])


def test_rows_with_fewer_or_other_seeds_do_not_hide_that_the_others_move_alike():
    rng = np.random.default_rng(2)
    effect = np.array([0.0, 0.2, 0.4])
    scores = paired_scores(rng, 4, 3, effect)
    clusters = {"d": [str(k) for k in range(40)]}
    known = {row: [0, 1, 2] for row in scores}

    def freedom(extra):
        """The freedom of the first row beside one more row with these seeds."""
        added = {"more": {"d": paired_scores(rng, 1, 3, effect)["row 0"]["d"][extra]}} if extra else {}
        panel = make_panel(scores | added, clusters, seeds=known | ({"more": extra} if extra else {}))
        return seed_variances(panel, np.array([1.0])).freedom

    alone = freedom([])
    assert alone == pytest.approx([2] * 4, abs=0.05), "nearly those of one row with three seeds"
    assert freedom([1]) == pytest.approx([*alone, alone[0]]), "a row with one run adds nothing to the mean variance"
    assert freedom([0, 2]) == pytest.approx([2] * 5, abs=0.2), (
        "the spread of seeds 0 and 2 is known from the same two effects"
    )
