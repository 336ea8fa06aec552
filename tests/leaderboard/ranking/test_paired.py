"""The comparison of a few sides: by hand, over families, until a precision, and in sentences."""

import pytest

from cme.errors import UsageError
from cme.leaderboard.ranking.aligned_scores import columns_of, panel_of
from cme.leaderboard.ranking.paired import compare_sides, stored_looks
from cme.leaderboard.ranking.sides import read_sides
from cme.leaderboard.ranking.verdicts import narrowing, notes, seed_share, verdict
from cme.stats import average_weights, compare
from cme.stats.sequential import FIRST_ROWS
from cme.stats.until import Until
from cme.suite.prices import row_tokens
from tests.leaderboard.workshop import make_samples

NAMES = ("qqp", "rte", "arc")
FAMILIES = {"qqp": "paraphrase_detection", "rte": "textual_entailment", "arc": "scientific_reasoning"}
ROWS = 400


def made_sides(workshop, groups, rows=ROWS, names=NAMES):
    """Sides with one result per skill: ``{"a": [0.6, 0.62]}``."""
    given = {}
    for name, skills in groups.items():
        given[name] = [
            workshop.result(
                f"{name}-{k}",
                make_samples(skill, f"{name}-{k}", rows, names),
                adapter=f"{len(given)}{k}".ljust(64, "0"),
            )
            for k, skill in enumerate(skills)
        ]
    return read_sides(given)


def panel_by_hand(groups, rows=ROWS):
    return panel_of(
        {
            name: [columns_of(make_samples(skill, f"{name}-{k}", rows, NAMES)) for k, skill in enumerate(skills)]
            for name, skills in groups.items()
        }
    )


def test_the_differences_are_those_of_the_statistics(workshop):
    groups = {"a": [0.6, 0.65], "b": [0.5, 0.52], "c": [0.55]}
    paired = compare_sides(made_sides(workshop, groups), resamples=1000)
    expected = compare(panel_by_hand(groups), average_weights(FAMILIES), resamples=1000)
    for item, other in zip(paired.comparison.differences, expected.differences, strict=True):
        assert (item.first, item.second, item.one_seed) == (other.first, other.second, other.one_seed)
        assert (item.value, item.stderr) == pytest.approx((other.value, other.stderr))
        # The resampled clusters are in another order.
        assert (item.low, item.high) == pytest.approx((other.low, other.high), abs=0.3)
    assert paired.samples == dict.fromkeys(NAMES, ROWS)
    assert paired.tokens == pytest.approx(ROWS * sum(map(row_tokens, NAMES)))
    assert not paired.tokens_recorded


def test_families_and_datasets_add_up_to_the_difference(workshop):
    paired = compare_sides(made_sides(workshop, {"a": [0.7], "b": [0.5]}), resamples=500)
    (item,) = paired.comparison.differences
    assert sum(family[0].value for family in paired.families.values()) / 3 == pytest.approx(item.value)
    assert [family[0].value for family in paired.families.values()] == [
        pytest.approx(paired.datasets[name][0].value) for name in ("qqp", "rte", "arc")
    ]
    assert set(paired.families) == set(FAMILIES.values())
    first, second = paired.averages
    assert first.value - second.value == pytest.approx(item.value)


def test_a_decision_needs_few_of_the_stored_samples(workshop):
    sides = made_sides(workshop, {"a": [0.9], "b": [0.4]})
    looks = stored_looks(sides, Until.parse("decided:2"), resamples=1000)
    paired = compare_sides(sides, looks=looks, resamples=1000)
    assert paired.samples == dict.fromkeys(NAMES, FIRST_ROWS)
    (item,) = paired.comparison.differences
    assert item.significant and item.low > 0
    first = [
        {name: [sequence[:64] for sequence in run.columns[name]] for name in NAMES}
        for side in sides
        for run in side.runs
    ]
    (expected,) = compare(
        panel_of({"a": [first[0]], "b": [first[1]]}), average_weights(FAMILIES), alpha=0.002, resamples=1000
    ).differences
    assert (item.value, item.low, item.high) == (expected.value, expected.low, expected.high)
    text = verdict(paired, 0)
    assert text.startswith(
        f"a is above b by {item.value:.2f} points [{item.low:.2f}, {item.high:.2f}], decided at look 1 of at most 6 "
    )
    assert "after 192 samples (16 % of all)" in text
    assert (
        "all differences are decided. The chance of any wrong claim over all looks is at most 5 %." in notes(paired)[0]
    )


def test_precision_ends_before_all_samples_are_used(workshop):
    sides = made_sides(workshop, {"a": [0.9], "b": [0.4]})
    looks = stored_looks(sides, Until(6), resamples=1000)
    assert looks.reason == "precise" and looks.last.items[0].half_width <= 6
    assert FIRST_ROWS * 3 < sum(looks.last.rows.values()) < 3 * ROWS
    assert looks == stored_looks(sides, Until(6), resamples=1000)
    assert "every interval is within ±6 points" in notes(compare_sides(sides, looks=looks, resamples=1000))[0]


def test_a_half_width_that_the_stored_samples_miss_is_refused(workshop):
    sides = made_sides(workshop, {"a": [0.6], "b": [0.5]})
    with pytest.raises(UsageError, match=r"±0\.5 points cannot be reached. All 1,200 samples would give about ±\d"):
        stored_looks(sides, Until(0.5), resamples=1000)
    reached = compare_sides(sides).comparison.differences[0].sample_half_width
    with pytest.raises(UsageError, match=rf"cannot be reached. All 1,200 samples give ±{reached:.1f}"):
        stored_looks(sides, Until(0.97 * reached))


def test_a_decision_may_stay_open(workshop):
    sides = made_sides(workshop, {"a": [0.6], "b": [0.6]}, rows=100)
    looks = stored_looks(sides, Until.parse("decided:1"), resamples=1000)
    paired = compare_sides(sides, looks=looks, resamples=1000)
    item = paired.comparison.differences[0]
    assert not item.significant
    level = 100 * (1 - paired.comparison.alpha)
    assert verdict(paired, 0) == (
        f"a and b do not differ significantly. The {level:g} % interval of a − b is [{item.low:.2f}, {item.high:.2f}] points."
    )
    assert "and its samples give ±" in notes(paired)[0] or "and they give ±" in notes(paired)[0]


def test_seeds_that_cause_most_of_the_variance_are_called_for(workshop):
    paired = compare_sides(made_sides(workshop, {"a": [0.45, 0.6, 0.75], "b": [0.4, 0.5, 0.6]}), resamples=500)
    (item,) = paired.comparison.differences
    share = 1 - item.sample_stderr**2 / item.stderr**2
    assert share > 0.5 and seed_share(paired, item) == pytest.approx(share)
    assert narrowing(item) == pytest.approx(1 - share**0.5)
    assert verdict(paired, 0).endswith(
        f"Seeds cause {100 * share:.0f} % of the variance of this difference. More samples could narrow its interval by at most "
        f"{100 * narrowing(item):.0f} %, so train more seeds."
    )
    assert notes(paired) == []


def test_samples_that_cause_most_of_the_variance_are_named(workshop):
    paired = compare_sides(made_sides(workshop, {"a": [0.6] * 3, "b": [0.5] * 3}, rows=30), resamples=500)
    (item,) = paired.comparison.differences
    if item.seed_share > 0:
        assert "Samples cause" in verdict(paired, 0)
    assert "train more seeds" not in verdict(paired, 0)


def test_one_seed_is_a_statement_about_adapters(workshop):
    alone = compare_sides(made_sides(workshop, {"a": [0.6], "b": [0.5]}), resamples=500)
    assert notes(alone) == [
        "The comparison is about these two adapters, not about their methods: training with other seeds may change it."
    ]
    assert seed_share(alone, alone.comparison.differences[0]) is None
    mixed = compare_sides(made_sides(workshop, {"a": [0.6], "b": [0.5, 0.6]}), resamples=500)
    assert notes(mixed) == ["a has one seed, so the seed variance is that of the other methods."]


def test_samples_that_were_chosen_by_a_decision_are_called_so(workshop, tmp_path):
    from cme.records import RowSelection

    counts = dict.fromkeys(NAMES, 64)
    chosen = RowSelection.of(
        rule="decided", stopped="decided", half_width=1.0, alpha=0.04, reached=1.0, chosen_by=("a",), counts=counts,
        available=counts, prices={}, looks=(),
    )  # fmt: skip
    results = [
        workshop.result(name, make_samples(0.5, name, 64, NAMES), adapter=letter * 64, rows=chosen)
        for name, letter in (("a", "1"), ("b", "2"))
    ]
    paired = compare_sides(read_sides({path.name: [path] for path in results}), resamples=500)
    assert notes(paired)[0].startswith("A decision could stop the evaluation of these samples")


def test_one_cluster_is_refused(workshop):
    rows = [{**row, "cluster": "all"} for row in make_samples(0.5, "a", 64, NAMES)]
    others = [{**row, "cluster": "all"} for row in make_samples(0.6, "b", 64, NAMES)]
    sides = read_sides(
        {"a": [workshop.result("a", rows, adapter="1" * 64)], "b": [workshop.result("b", others, adapter="2" * 64)]}
    )
    with pytest.raises(UsageError, match="all samples of qqp, rte, arc share one cluster"):
        compare_sides(sides, resamples=500)


def test_the_order_of_the_sides_does_not_change_the_looks(workshop):
    results = {
        name: workshop.result(name, make_samples(skill, name, ROWS, NAMES), adapter=letter * 64)
        for name, skill, letter in (("a", 0.62, "1"), ("b", 0.5, "2"))
    }
    one, other = (
        stored_looks(read_sides({name: [results[name]] for name in order}), Until.parse("decided:4"), resamples=1000)
        for order in ("ab", "ba")
    )
    assert [look.rows for look in one.looks] == [look.rows for look in other.looks]
    assert one.last.items[0].value == pytest.approx(-other.last.items[0].value)
    assert one.reason == other.reason


def test_a_note_tells_how_the_evaluations_of_the_sides_differ(workshop):
    """As the table of conditions does on a board."""
    made = {
        name: workshop.seeds(name, 0.6, NAMES, dtype=dtype, engines={"qqp": engine})
        for name, dtype, engine in (
            ("a", "float32", "prefix"),
            ("b", "bfloat16", "hf"),
            ("c", "float32", "hf: too long"),
        )
    }
    (text,) = [text for text in notes(compare_sides(read_sides(made), resamples=100)) if "evaluations differ" in text]
    assert text.startswith(
        "The evaluations differ in data type: float32 (a, c), bfloat16 (b); in engine: prefix (a, c), hf (b). "
    )
    alike = {name: made[name] for name in "ac"}
    assert not any("evaluations differ" in text for text in notes(compare_sides(read_sides(alike), resamples=100)))


def test_a_model_without_a_record_is_named(workshop):
    whole = workshop.result("full", make_samples(0.7, "full", 60, NAMES), base="runs/full", base_fingerprint="f" * 64)
    lora = workshop.result("lora", make_samples(0.6, "lora", 60, NAMES), adapter="1" * 64)
    paired = compare_sides(read_sides({"full": [whole], "lora": [lora]}), resamples=100)
    assert paired.comparison.differences[0].one_seed == ("full", "lora")
    about, unknown = notes(paired)
    assert "about these two models, not about their methods" in about
    assert unknown.startswith("It is not known whether full was trained") and unknown.endswith(
        "as trained with one seed."
    )
