"""Per-sample scores → the CME average, on a case small enough to work out by hand."""

import math
import random
import re

import pytest

from cme.errors import DataError
from cme.suite import dataset, datasets
from cme.suite.families import FAMILIES
from cme.suite.score import aggregate, explain, score_dataset


def sample(name, number, score, *, cluster=None, part=None, gold=0, predicted=None, options=2, **more):
    spec = dataset(name)
    row = {
        "id": f"{name}-{number}",
        "dataset": name,
        "family": spec.family,
        "part": part or spec.subsets[0].name,
        "cluster": cluster or f"{name}-{number}",
        "score": score,
        "scores": dict.fromkeys(spec.metrics, score),
        "options": 0,
        "gold": None,
        "predicted": None,
        "gold_probability": None,
        "empty": False,
        "truncated": False,
        "cut": False,
    }
    if spec.kind == "choice":
        chosen = predicted if predicted is not None else (gold if score else 1 - gold)
        row |= {"options": options, "gold": gold, "predicted": chosen, "gold_probability": 0.5}
    return row | more


QQP = [sample("qqp", k, score) for k, score in enumerate([1.0, 1.0, 1.0, 0.0])]
# Two passages with two questions each.
SQUAD = [
    sample("squad_v2", 0, 1.0, cluster="p"),
    sample("squad_v2", 1, 0.5, cluster="p"),
    sample("squad_v2", 2, 0.0, cluster="q"),
    sample("squad_v2", 3, 0.5, cluster="q"),
]
CNN = [sample("cnn_dailymail", k, score) for k, score in enumerate([0.2, 0.4])]
ALL = [*QQP, *SQUAD, *CNN]


def by_name(scores):
    return {item.dataset: item for item in scores.datasets}


def test_dataset_scores_are_means():
    scores = by_name(aggregate(ALL, tier="quick"))
    assert {name: item.value for name, item in scores.items()} == pytest.approx(
        {"qqp": 3 / 4, "squad_v2": 1 / 2, "cnn_dailymail": 0.3}
    )
    assert {name: item.n for name, item in scores.items()} == {"qqp": 4, "squad_v2": 4, "cnn_dailymail": 2}
    assert {name: item.clusters for name, item in scores.items()} == {"qqp": 4, "squad_v2": 2, "cnn_dailymail": 2}
    assert {name: item.metric for name, item in scores.items()} == {
        "qqp": "acc",
        "squad_v2": "f1",
        "cnn_dailymail": "rougeL",
    }


def test_standard_errors_by_hand():
    scores = by_name(aggregate(ALL, tier="quick"))
    # Singletons: s/√n. Deviations 1/4, 1/4, 1/4, -3/4: s² = (3/16 + 9/16) / 3 = 1/4, error 1/2 / 2 = 1/4.
    assert scores["qqp"].stderr == pytest.approx(1 / 4)
    # Clusters of two: sums of deviations 1/2 and -1/2, squares 1/2, factor 2: √1 / 4 = 1/4.
    assert scores["squad_v2"].stderr == pytest.approx(1 / 4)
    # s/√2 of 0.2 and 0.4: s = √0.02, error √0.01 = 0.1.
    assert scores["cnn_dailymail"].stderr == pytest.approx(0.1)


def test_families_and_the_average_by_hand():
    scores = aggregate(ALL, tier="quick")
    values = {item.family: item.value for item in scores.families}
    errors = {item.family: item.stderr for item in scores.families}
    assert values == pytest.approx({"text_summarization": 30, "paraphrase_detection": 75, "reading_comprehension": 50})
    assert errors == pytest.approx({"text_summarization": 10, "paraphrase_detection": 25, "reading_comprehension": 25})
    assert scores.average == pytest.approx((30 + 75 + 50) / 3)
    assert scores.average_stderr == pytest.approx(math.sqrt(100 + 625 + 625) / 3)
    assert scores.without_rouge == pytest.approx((75 + 50) / 2)
    # Chance: 1/2 for QQP (3/4 → 1/2), none for free answers: (50 + 50 + 30) / 3.
    assert scores.chance_normalised == pytest.approx((50 + 50 + 30) / 3)
    assert scores.complete is False
    assert [item.family for item in scores.families] == [name for name in FAMILIES if name in values]


def test_soft_scores_by_hand():
    choices = [sample("qqp", k, float(p > 0.5), gold_probability=p) for k, p in enumerate([0.9, 0.7, 0.6, 0.2])]
    soft = aggregate([*choices, *SQUAD, *CNN], tier="quick").soft
    # The mean probability of the right option: 2.4 / 4. Texts keep their primary metric.
    assert {item.dataset: item.value for item in soft.datasets} == pytest.approx(
        {"qqp": 0.6, "squad_v2": 0.5, "cnn_dailymail": 0.3}
    )
    errors = {item.dataset: item.stderr for item in soft.datasets}
    # Deviations 0.3, 0.1, 0, −0.4: s² = 0.26 / 3, error √(0.26 / 12).
    assert errors["qqp"] == pytest.approx(math.sqrt(0.26 / 12)) and errors["squad_v2"] == pytest.approx(1 / 4)
    assert {item.family: item.value for item in soft.families} == pytest.approx(
        {"text_summarization": 30, "paraphrase_detection": 60, "reading_comprehension": 50}
    )
    assert soft.average == pytest.approx((30 + 60 + 50) / 3)
    assert soft.average_stderr == pytest.approx(100 * math.sqrt(0.01 + 0.26 / 12 + 1 / 16) / 3)
    assert aggregate(CNN, tier="smoke").soft.average_stderr is None


def test_datasets_beside_the_suite_have_a_soft_score_that_counts_nowhere():
    rows = [sample("mnli_mismatched", k, 1.0, gold_probability=0.8) for k in range(4)]
    soft = aggregate([*QQP, *rows], tier="quick").soft
    assert [item.dataset for item in soft.datasets] == ["mnli_mismatched", "qqp"]
    assert [item.family for item in soft.families] == ["paraphrase_detection"] and soft.average == pytest.approx(50)


def test_a_family_is_the_unweighted_mean_of_its_datasets(monkeypatch):
    import dataclasses

    from cme.suite import score

    # A second, larger dataset in the family, with other scores.
    twin = dataclasses.replace(dataset("qqp"), name="twin")
    monkeypatch.setattr(score, "datasets", lambda suite="cme-22", beside=False: {**datasets(), "twin": twin})
    others = [{**sample("qqp", k, 0.0), "dataset": "twin"} for k in range(8)]
    result = aggregate([*QQP, *others], tier="quick")
    (family,) = result.families
    # (3/4 + 0) / 2, whatever the sizes; error √(1/16 + 0) / 2 = 1/8.
    assert family.value == result.average == pytest.approx(37.5)
    assert family.stderr == result.average_stderr == pytest.approx(12.5)
    # Chance first in each dataset, then the mean: (1/2 + (0 - 1/2) / (1/2)) / 2 = -1/4.
    assert result.chance_normalised == pytest.approx(-25)


def test_chance_is_the_mean_over_the_items():
    # Three, four and five options: (1/3 + 1/4 + 1/5) / 3.
    rows = [sample("arc", k, 1.0, options=options, part="arc_easy") for k, options in enumerate((3, 4, 5))]
    scored = score_dataset(rows, dataset("arc"))
    assert scored.chance == pytest.approx((1 / 3 + 1 / 4 + 1 / 5) / 3)
    assert score_dataset(SQUAD, dataset("squad_v2")).chance == 0.0


def test_worse_than_chance_is_negative():
    scores = aggregate([sample("qqp", k, 0.0) for k in range(4)], tier="quick")
    # (0 - 1/2) / (1 - 1/2).
    assert scores.chance_normalised == pytest.approx(-100)


def test_smoke_has_no_error_and_the_same_scores():
    smoke, quick = aggregate(ALL, tier="smoke"), aggregate(ALL, tier="quick")
    assert smoke.average == quick.average
    assert smoke.average_stderr is None
    assert all(item.stderr is None for item in (*smoke.datasets, *smoke.families))
    assert all(item.stderr is not None for item in (*quick.datasets, *quick.families))


def test_parts_are_shown_where_there_are_several():
    rows = [
        sample("arc", k, float(k > 0), part=part) for k, part in enumerate(("arc_easy", "arc_challenge", "arc_easy"))
    ]
    assert score_dataset(rows, dataset("arc")).subsets == pytest.approx({"arc_challenge": 1.0, "arc_easy": 0.5})
    assert score_dataset(QQP, dataset("qqp")).subsets == {}


def test_further_scores_stand_beside_the_primary_one():
    rows = [
        sample("qqp", 0, 1.0, gold=1, predicted=1, gold_probability=0.75),
        sample("qqp", 1, 0.0, gold=1, predicted=0, gold_probability=0.25),
        sample("qqp", 2, 1.0, gold=0, predicted=0, gold_probability=0.5),
    ]
    scored = score_dataset(rows, dataset("qqp"))
    # F1 of "duplicate": both 1, gold 2, predicted 1: 2/3.
    assert scored.metrics == pytest.approx({"acc": 2 / 3, "gold_probability": 1 / 2, "f1": 2 / 3})
    assert scored.value == pytest.approx(2 / 3)


def test_diagnostics_count():
    rows = [sample("qqp", k, 1.0, gold=1, predicted=1, cut=k == 0) for k in range(3)]
    assert score_dataset(rows, dataset("qqp")).diagnostics == {"truncated": 0, "cut": 1, "answers": {"1": 3}}
    rows = [sample("squad_v2", k, 0.0, empty=k < 2, truncated=k == 2) for k in range(4)]
    assert score_dataset(rows, dataset("squad_v2")).diagnostics == {"truncated": 1, "cut": 0, "empty": 2}


def test_the_order_of_samples_does_not_count():
    shuffled = random.Random(3).sample(ALL, len(ALL))
    first, second = aggregate(ALL, tier="quick"), aggregate(shuffled, tier="quick")
    assert second.average == pytest.approx(first.average, abs=1e-12)
    assert [item.dataset for item in second.datasets] == [item.dataset for item in first.datasets]


def test_the_whole_suite_is_complete():
    rows = [sample(name, k, 1.0) for name in datasets() for k in range(2)]
    scores = aggregate(rows, tier="quick")
    assert scores.complete is True
    assert scores.average == scores.chance_normalised == 100


def test_only_summaries_leave_nothing_without_them():
    assert aggregate(CNN, tier="quick").without_rouge is None


def test_a_sample_twice_is_refused():
    with pytest.raises(DataError, match="qqp: sample qqp-0 occurs more than once"):
        aggregate([*ALL, QQP[0]], tier="quick")


def test_one_id_in_two_datasets_is_fine():
    rows = [{**QQP[0], "id": "x"}, {**SQUAD[0], "id": "x"}]
    assert len(aggregate(rows, tier="quick").datasets) == 2


def test_unknown_datasets_are_refused():
    with pytest.raises(DataError, match="unknown datasets: glue, snli"):
        aggregate([*ALL, {**QQP[0], "dataset": "snli"}, {**QQP[0], "dataset": "glue"}], tier="quick")


def test_nothing_is_refused():
    with pytest.raises(DataError, match="no samples"):
        aggregate([], tier="quick")


_NUMBER = r"-?\d+\.\d+"


def _terms(text):
    return [float(number) for number in re.findall(_NUMBER, text)]


def test_every_line_of_the_explanation_adds_up():
    scores = aggregate(ALL, tier="quick")
    lines = explain(scores)
    values = {}
    for item in scores.datasets:
        (line,) = (line for line in lines if line.startswith(f"{item.dataset}: "))
        assert f"mean of {item.n} per-sample {item.metric} scores" in line
        values[item.dataset] = float(re.search(rf"= ({_NUMBER})", line)[1])
    families = {}
    for family in scores.families:
        (line,) = (line for line in lines if line.startswith(f"{family.family} = "))
        left, right = line.split(" = ")[1:]
        terms, count = re.fullmatch(r"100 × \((.*)\) / (\d+)", left).groups()
        assert _terms(terms) == [values[item.dataset] for item in scores.datasets if item.family == family.family]
        # Four decimals are shown, so the family's value is good to half of the last of them × 100.
        assert 100 * sum(_terms(terms)) / int(count) == pytest.approx(float(right), abs=0.01)
        families[family.family] = float(right)
    (line,) = (line for line in lines if line.startswith("CME average = "))
    terms, count, right = re.fullmatch(rf"CME average = \((.*)\) / (\d+) = ({_NUMBER})", line).groups()
    assert _terms(terms) == list(families.values()) and int(count) == len(families)
    assert sum(_terms(terms)) / int(count) == pytest.approx(float(right), abs=0.01)
    assert float(right) == pytest.approx(scores.average, abs=0.005)
    (line,) = (line for line in lines if line.startswith("standard error = "))
    squares, right = line.removeprefix("standard error = √(").split(" = ")
    assert math.sqrt(sum(value**2 for value in _terms(squares))) / 3 == pytest.approx(float(right), abs=0.01)


def test_the_explanation_of_smoke_speaks_of_no_error():
    assert not any("error" in line or "±" in line for line in explain(aggregate(ALL, tier="smoke")))


def test_a_dataset_beside_the_suite_counts_in_no_average():
    with_it = aggregate([*ALL, *(sample("mnli_mismatched", k, 1.0) for k in range(4))], tier="quick")
    without = aggregate(ALL, tier="quick")
    assert by_name(with_it)["mnli_mismatched"].value == 1.0
    assert (with_it.families, with_it.average, with_it.chance_normalised) == (
        without.families,
        without.average,
        without.chance_normalised,
    )
    assert [line for line in explain(with_it) if not line.startswith("mnli_mismatched: ")] == explain(without)
    with pytest.raises(DataError, match="mnli_mismatched does not count in the CME average"):
        aggregate([sample("mnli_mismatched", 0, 1.0)], tier="quick")
