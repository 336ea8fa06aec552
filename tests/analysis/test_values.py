"""Redundancy and Shapley values from simulated scores of samples."""

import numpy as np
import pytest

from cme.errors import DataError, UsageError
from cme.stats import clustered_stderr
from cme.stats.coalitions import members, shapley_values
from cme.suite.experts.masks import Masks
from cme.suite.experts.redundancy import mask_scores
from cme.suite.experts.score_file import read_scores, score_table, write_scores
from cme.suite.experts.shapley import agreement, shapley_analysis

FAMILIES = {"imdb": "sentiment_analysis", "yelp_polarity": "sentiment_analysis", "qqp": "paraphrase_detection"}


def samples(score, *, count=40, size=2, seed=0):
    """Make the samples of one evaluation. ``score(dataset, noise)`` gives scores [n] from fixed noise in [0, 1)."""
    rows = []
    for place, (dataset, family) in enumerate(FAMILIES.items()):
        noise = np.repeat(np.random.default_rng([seed, place]).random(count // size), size)
        for number, value in enumerate(score(dataset, noise)):
            common = {
                "id": f"{dataset} {number}",
                "dataset": dataset,
                "family": family,
                "cluster": f"c{number // size}",
            }
            rows.append(common | {"score": float(value), "options": 2, "gold_probability": float(value) / 2})
    return rows


def game(masks, value):
    """Make the table of all evaluations in which a coalition S scores ``value(S)`` with noise of samples."""
    contents = {}
    for name, choice in masks.choices.items():
        kept = range(4) if choice is None else () if choice == "keep:" else None
        if kept is None:
            kept = [0] if choice.startswith("top1") else list(map(int, choice.removeprefix("keep:").split(",")))
        contents[name] = samples(lambda dataset, noise, kept=kept: (noise < value(set(kept))).astype(float))
    return score_table(contents)


@pytest.fixture(scope="module")
def masks():
    return Masks(4, redundancy=True, shapley=True)


@pytest.fixture(scope="module")
def table(masks):
    """Expert 0 is worth 0.4, expert 1 is worth 0.1, expert 2 only helps expert 0, and expert 3 nothing."""
    return game(masks, lambda s: 0.3 + 0.4 * (0 in s) + 0.1 * (1 in s) + 0.1 * ({0, 2} <= s))


def test_every_coalition_is_evaluated_once():
    both = Masks(4, redundancy=True, shapley=True)
    assert len(both.choices) == 18 and list(both.choices)[:2] == ["base", "all"]
    assert both.choices["base"] == "keep:" and both.choices["all"] is None and both.choices["keep-0-2"] == "keep:0,2"
    assert set(both.coalitions) == set(range(16))
    assert len(Masks(4, redundancy=True, shapley=False).choices) == 12
    assert len(Masks(8, redundancy=True, shapley=False).choices) == 20
    assert (both.keep_one(2), both.drop_one(0)) == ("keep-2", "keep-1-2-3")
    two = Masks(2, redundancy=True, shapley=True)
    assert len(two.choices) == 6, "with two experts, to drop one is to keep the other"


def test_too_many_experts_are_refused():
    with pytest.raises(UsageError, match=r"8 experts need 256 evaluations.*--parts load,redundancy,similarity"):
        Masks(8, redundancy=False, shapley=True)


def test_the_file_of_scores_gives_the_same_table(table, tmp_path):
    write_scores(tmp_path / "coalitions.parquet", table)
    again = read_scores(tmp_path / "coalitions.parquet")
    assert again.evaluations == table.evaluations and again.ids == table.ids and again.clusters == table.clusters
    for name in FAMILIES:
        np.testing.assert_array_equal(again.scores[name], table.scores[name])
        np.testing.assert_array_equal(again.soft[name], table.soft[name])


def test_evaluations_of_other_samples_are_refused():
    with pytest.raises(DataError, match="'base' has other samples than 'all'"):
        score_table({"all": samples(lambda d, n: n), "base": samples(lambda d, n: n, count=20)})


def test_a_damaged_file_of_scores_is_refused(tmp_path):
    (tmp_path / "coalitions.parquet").write_bytes(b"damaged")
    with pytest.raises(DataError, match="run the analysis again"):
        read_scores(tmp_path / "coalitions.parquet")


def test_both_readings_of_what_a_mask_keeps(masks, table):
    scores = {item.name: item for item in mask_scores(table, masks.choices)}
    full, base, one = (scores[name].score["average"].value for name in ("all", "base", "keep-0"))
    item = scores["keep-0"]
    assert item.share_of_score["average"].value == pytest.approx(one / full)
    assert item.share_of_gain["average"].value == pytest.approx((one - base) / (full - base))
    assert item.share_of_gain["average"].low < item.share_of_gain["average"].value < item.share_of_gain["average"].high
    assert item.difference["average"].value == pytest.approx(one - full)
    assert scores["base"].share_of_gain["average"].value == pytest.approx(0)
    for reading in ("share_of_score", "share_of_gain"):
        own = getattr(scores["all"], reading)["average"]
        assert (own.value, own.low, own.high) == pytest.approx((1, 1, 1))
    # chance is 1/2, so the chance-normalised score is 2 (x − 0.5)
    assert scores["all"].score["chance_normalised"].value == pytest.approx(2 * (full - 50))
    assert scores["all"].score["soft"].value == pytest.approx(full / 2)


def test_an_adapter_without_a_gain_has_no_share_of_it(masks):
    scores = {item.name: item for item in mask_scores(game(masks, lambda s: 0.5), masks.choices)}
    share = scores["keep-0"].share_of_gain["average"]
    assert (share.value, share.low, share.high) == (None, None, None)
    assert scores["keep-0"].share_of_score["average"].value == pytest.approx(1)


def test_a_small_gain_makes_the_share_undefined(masks):
    scores = {item.name: item for item in mask_scores(game(masks, lambda s: 0.5 + 0.01 * len(s)), masks.choices)}
    share = scores["keep-0"].share_of_gain["average"]
    assert share.low is None and share.high is None


def test_shapley_values_sum_to_the_gain_and_find_the_experts(masks, table):
    found = shapley_analysis(table, masks.coalitions, None)
    scores = {item.name: item for item in mask_scores(table, masks.choices)}
    gain = scores["all"].score["average"].value - scores["base"].score["average"].value
    values = [item.value for item in found.average.values]
    assert sum(values) == pytest.approx(gain, abs=1e-9)
    assert values[3] == 0 and values[0] > values[1] > 0 and values[0] > values[2] > 0
    assert found.average.interactions["0-2"].value > 0 and found.average.interactions["1-3"].value == 0
    assert [item.name for item in found.families] == ["sentiment_analysis", "paraphrase_detection"]
    mean = np.mean([[value.value for value in item.values] for item in found.families], axis=0)
    np.testing.assert_allclose(mean, values)
    assert found.agreement is None


def test_intervals_are_those_of_the_shapley_values_of_single_samples(masks, table):
    found = {item.name: item for item in shapley_analysis(table, masks.coalitions, None).datasets}["qqp"]
    order = [table.evaluations.index(masks.coalitions[number]) for number in range(16)]
    single = shapley_values(table.scores["qqp"][order])[0]
    half = (found.values[0].high - found.values[0].low) / 2
    from scipy.special import stdtrit

    clusters = list(table.clusters["qqp"])
    assert half == pytest.approx(100 * clustered_stderr(single, clusters) * stdtrit(len(set(clusters)) - 1, 0.975))


def test_tier_smoke_has_no_intervals(masks, table):
    assert mask_scores(table, masks.choices, intervals=False)[3].share_of_gain["average"].low is None
    found = shapley_analysis(table, masks.coalitions, None, intervals=False)
    assert all(item.low is None for item in found.average.values)


def test_agreement_is_a_rank_correlation_within_datasets():
    draws = np.random.default_rng(0)
    gates = {f"d{place}": draws.dirichlet(np.ones(4)) for place in range(12)}
    same = agreement(gates, {name: 10 + 5 * values for name, values in gates.items()})
    assert (same.value, same.datasets) == (pytest.approx(1), 12)
    opposite = agreement(gates, {name: -values for name, values in gates.items()})
    assert opposite.value == pytest.approx(-1)
    # A dataset with a large gain does not make its experts agree.
    noise = {name: place * 100 + draws.normal(size=4) for place, name in enumerate(gates)}
    found = agreement(gates, noise)
    assert abs(found.value) < 0.5 and found.low < 0 < found.high
    few = agreement({"d0": gates["d0"]}, {"d0": gates["d0"]})
    assert few.value == pytest.approx(1) and few.low is None
    assert agreement(gates, {name: np.zeros(4) for name in gates}).value is None


def test_the_interval_of_the_agreement_covers_zero_if_the_gates_know_nothing():
    draws, covered = np.random.default_rng(1), 0
    for seed in range(40):
        gates, values = ({f"d{place}": draws.normal(size=4) for place in range(22)} for _ in "ab")
        found = agreement(gates, values, seed=seed)
        covered += found.low < 0 < found.high
    assert covered >= 34  # 95 % of 40, less three standard errors


def test_members_of_names_agree(masks):
    for number, name in masks.coalitions.items():
        kept = members(number, 4)
        assert name == {0: "base", 15: "all"}.get(number, "keep-" + "-".join(map(str, kept)))
