"""Signal-to-noise: the analysis of variance by hand and by SciPy, and its behaviour on simulated tables."""

import numpy as np
import pytest
from scipy.stats import f, f_oneway

from cme.errors import UsageError
from cme.stats import make_panel
from cme.stats.signal import limit_of, signal_to_noise
from tests.stats.seed_tables import draw_table
from tests.stats.tables import equal_weights


def panel_of(runs, untrained=()):
    """A panel of one dataset in which each run's mean is given: one cluster per sample, all samples alike."""
    scores = {row: {"d": [[value, value] for value in values]} for row, values in runs.items()}
    return make_panel(scores, {"d": ["x", "y"]}, untrained=untrained)


def test_it_is_the_analysis_of_variance():
    runs = {"a": [0.2, 0.3, 0.1], "b": [0.5, 0.4], "c": [0.3, 0.35, 0.3, 0.2]}
    signal = signal_to_noise(panel_of(runs), {"d": 100.0})
    expected = f_oneway(*runs.values())
    assert signal.ratio == pytest.approx(expected.statistic)
    assert signal.freedom == (2, 6)
    assert f.sf(signal.critical, 2, 6) == pytest.approx(0.05)


def test_what_a_seed_adds_to_all_rows_is_left_out():
    runs = np.array([[0.2, 0.3, 0.1], [0.5, 0.6, 0.35], [0.3, 0.45, 0.2]])
    rows = dict(zip("abc", runs, strict=True))
    scores = {row: {"d": [[value, value] for value in values]} for row, values in rows.items()}
    panel = make_panel(scores, {"d": ["x", "y"]}, seeds=dict.fromkeys(rows, (0, 1, 2)))
    signal = signal_to_noise(panel, {"d": 1.0})
    # A two-way analysis of variance as a regression on rows and seeds.
    design = np.hstack([np.kron(np.eye(3), np.ones((3, 1))), np.kron(np.ones((3, 1)), np.eye(3))[:, 1:]])
    rest = runs.ravel() - design @ np.linalg.lstsq(design, runs.ravel(), rcond=None)[0]
    between = 3 * ((runs.mean(axis=1) - runs.mean()) ** 2).sum() / 2
    assert signal.paired and signal.freedom == (2, 4)
    assert signal.ratio == pytest.approx(between / (rest @ rest / 4))
    assert signal.seeds == pytest.approx((rest @ rest / 4) ** 0.5)
    # The seeds may stand in another order in each row.
    turned = {"a": [2, 0, 1], "b": [0, 1, 2], "c": [0, 1, 2]}
    scores["a"] = {"d": [[value, value] for value in runs[0][[2, 0, 1]]]}
    assert signal_to_noise(make_panel(scores, {"d": ["x", "y"]}, seeds=turned), {"d": 1.0}).ratio == pytest.approx(
        signal.ratio
    )


def test_spreads_by_hand():
    # Means 20 and 60; each row's runs are 10 from its mean. Within: 4 · 10² / 2 = 200. Between: 2 · (20² + 20²) / 1 = 1600.
    signal = signal_to_noise(panel_of({"a": [0.1, 0.3], "b": [0.5, 0.7]}), {"d": 100.0})
    assert signal.ratio == pytest.approx(8)
    assert signal.seeds == pytest.approx(200**0.5)
    assert signal.rows == pytest.approx(((1600 - 200) / 2) ** 0.5)


def test_rows_without_training_and_other_datasets_do_not_count():
    runs = {"a": [0.1, 0.3], "b": [0.5, 0.7]}
    alone = signal_to_noise(panel_of(runs), {"d": 100.0})
    assert signal_to_noise(panel_of({"base": [0.9], **runs}, untrained=["base"]), {"d": 100.0}) == alone
    both = make_panel(
        {row: {"d": [[v, v] for v in of], "e": [[0.5 * k] for k in range(2)]} for row, of in runs.items()},
        {"d": ["x", "y"], "e": ["x"]},
    )
    assert signal_to_noise(both, {"d": 100.0}) == alone
    with pytest.raises(UsageError, match="no scores"):
        signal_to_noise(both, {"f": 100.0})


def test_a_row_with_one_seed_counts_between_rows_only():
    runs = {"a": [0.1, 0.3], "b": [0.5, 0.7], "c": [0.9]}
    signal = signal_to_noise(panel_of(runs), {"d": 100.0})
    assert signal.freedom == (2, 2)
    assert signal.seeds == pytest.approx(200**0.5)
    # Σ S (mean − grand mean)² / 2 with means 20, 60, 90 and grand mean 50: (2 · 900 + 2 · 100 + 1600) / 2.
    assert signal.ratio == pytest.approx(1800 / 200)


def test_too_few_rows_or_seeds_give_nothing():
    assert signal_to_noise(panel_of({"a": [0.1, 0.3]}), {"d": 100.0}) is None
    assert signal_to_noise(panel_of({"a": [0.1], "b": [0.2], "c": [0.4]}), {"d": 100.0}) is None


def test_without_seed_spread_there_is_no_ratio():
    signal = signal_to_noise(panel_of({"a": [1.0, 1.0], "b": [1.0, 1.0]}), {"d": 100.0})
    assert (signal.ratio, signal.rows, signal.seeds) == (None, 0.0, 0.0)
    assert signal_to_noise(panel_of({"a": [0.3, 0.3], "b": [0.7, 0.7]}), {"d": 100.0}).ratio is None


def test_simulated_answers_of_equal_methods():
    """The spread of the seeds is found. Which samples suit a method counts as a difference between rows, as documented."""
    ratios, within = {}, {}
    for spread in (0.0, 2.0):
        rng = np.random.default_rng(7)
        tables = [draw_table(rng, (3,) * 6, (spread,) * 6) for _ in range(200)]
        signals = [signal_to_noise(panel, equal_weights(panel)) for panel in tables]
        ratios[spread] = np.median([signal.ratio for signal in signals])
        within[spread] = np.mean([signal.seeds**2 for signal in signals])
    assert within[2.0] - within[0.0] == pytest.approx(2.0**2, rel=0.15)
    assert 1.0 < ratios[2.0] < 2.2 and ratios[0.0] > 3


@pytest.mark.parametrize("counts", [(3, 3, 3, 3), (2, 5, 1, 3)])
def test_it_holds_its_level_and_recovers_the_spreads(counts):
    """Normal runs: F exceeds its critical value in 5 % of tables of equal rows, and both spreads are found without bias."""
    rng, weights = np.random.default_rng(3), {"d": 100.0}
    above, rows, within = [], [], []
    for _ in range(2000):
        noise = [0.02 * rng.standard_normal(count) for count in counts]
        equal = {f"r{k}": 0.5 + of_row for k, of_row in enumerate(noise)}
        signal = signal_to_noise(panel_of(equal), weights)
        above.append(signal.ratio > signal.critical)
        methods = 0.03 * rng.standard_normal(len(counts))
        signal = signal_to_noise(
            panel_of({f"r{k}": 0.5 + m + n for k, (m, n) in enumerate(zip(methods, noise, strict=True))}), weights
        )
        rows.append(signal.rows**2)
        within.append(signal.seeds**2)
    assert np.mean(above) == pytest.approx(0.05, abs=0.015)
    assert np.mean(within) == pytest.approx(4, rel=0.1)
    assert np.mean(rows) == pytest.approx(9, rel=0.15)


def test_limits():
    assert limit_of([95.0, 100.0], 50.0) == "ceiling"
    assert limit_of([94.9, 100.0], 50.0) is None
    assert limit_of([47.0, 53.0], 50.0) == "chance"
    assert limit_of([46.9, 53.0], 50.0) is None
    assert limit_of([0.0, 2.5], 0.0) == "chance"
    assert limit_of([], 50.0) is None
