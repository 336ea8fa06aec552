"""What exports lose: paired differences, what the router is worth, and the evaluation of one adapter per family."""

import json

import numpy as np
import pytest

import cme
from cme.errors import CMEWarning, UsageError
from cme.export.measure import measured_exports
from cme.records.samples import read_samples
from cme.suite.experts.scores import ScoreTable
from cme.suite.experts.worth import router_worth

VALUES = {"measure": True, "source": "mini", "tier": "quick", "datasets": "qqp,rte", "threads": 1, "token_budget": 2000}


def scored(evaluations: dict[str, float], samples: int = 400) -> ScoreTable:
    """Make the scores of evaluations on one dataset of each of two families, by their mean in percent."""
    draw = np.random.default_rng(0)
    both = {"qqp": "paraphrase_detection", "rte": "textual_entailment"}
    even = {name: draw.random(samples) for name in both}
    scores = {
        name: np.array([(even[name] < mean / 100).astype(float) for mean in evaluations.values()]) for name in both
    }
    ids = {name: tuple(f"{name}{number}" for number in range(samples)) for name in both}
    options = {name: np.full(samples, 2) for name in both}
    return ScoreTable(tuple(evaluations), both, ids, ids, options, scores, scores)


def test_the_router_is_worth_its_lead_over_the_best_single_adapter():
    table = scored({"routed": 70.0, "mean": 60.0, "family": 69.0, "fit": 65.0})
    worth, best = router_worth(table, intervals=True)
    values = {name: of["routed"] - of["fit"] for name, of in means(table).items()}
    assert best == {"average": "fit", "soft": "fit"}, "family is no single adapter"
    assert worth["average"].value == pytest.approx(values["average"])
    alone, _ = router_worth(scored({"routed": 70.0, "fit": 65.0}), intervals=True)
    assert worth["average"].low < alone["average"].low < alone["average"].value < alone["average"].high
    assert router_worth(scored({"routed": 70.0, "family": 69.0}), intervals=True) == ({}, {})
    assert router_worth(table, intervals=False)[0]["average"].low is None


def means(table: ScoreTable) -> dict[str, dict[str, float]]:
    """The plain averages in points."""
    return {
        metric: {
            name: 100 * np.mean([of[place].mean() for of in table.values(metric).values()])
            for place, name in enumerate(table.evaluations)
        }
        for metric in ("average", "soft")
    }


def test_the_interval_of_the_worth_covers_the_choice_of_the_best():
    missed = 0
    for seed in range(400):
        draw = np.random.default_rng(seed)
        names = ("routed", "mean", "fit", "distil")
        # Three exports that are equally good: the best of them on a sample looks better than it is.
        scores = {name: (draw.random((4, 80)) < 0.6).astype(float) for name in ("qqp", "rte")}
        ids = {name: tuple(f"{name}{number}" for number in range(80)) for name in scores}
        both = {"qqp": "paraphrase_detection", "rte": "textual_entailment"}
        options = {name: np.full(80, 2) for name in scores}
        table = ScoreTable(names, both, ids, ids, options, scores, scores)
        worth = router_worth(table, intervals=True)[0]["average"]
        missed += not worth.low <= 0 <= worth.high
    assert missed <= 30, "at most 5 % of 400, with three standard errors"


def test_differences_are_paired():
    table = scored({"routed": 70.0, "mean": 66.0})
    retention = {"routed": {"drift": np.array([0.2, 0.4, 0.9])}, "mean": {"drift": np.array([0.3, 0.5, 1.0])}}
    item = measured_exports(table, retention, intervals=True)["mean"]
    off = item.difference["average"]
    assert off.high - off.low < item.score["average"].high - item.score["average"].low, "pairing narrows the interval"
    assert item.difference["drift"].value == pytest.approx(0.1)
    assert item.difference["drift"].high - item.difference["drift"].low < 1e-9
    assert list(item.families) == ["paraphrase_detection", "textual_entailment"]
    assert np.mean([family.value for family in item.families.values()]) == pytest.approx(off.value)


@pytest.fixture(scope="module")
def exported(tiny_base, mix, routed, tmp_path_factory):
    out = tmp_path_factory.mktemp("measured") / "out"
    return cme.export_lora(routed(), out, how="mean,family,fit", data=mix, **VALUES)


def test_every_export_is_measured_against_the_routed_adapter(exported, routed):
    measured = exported.record.measured
    assert [item.how for item in measured.exports] == ["mean", "family", "fit"]
    mean, family, fit = measured.exports
    own = cme.evaluate(adapter=routed(), base=exported.record.base, **evaluation())
    assert measured.routed["average"].value == pytest.approx(own.average)
    again = cme.evaluate(adapter=exported.folder / "fit", base=exported.record.base, **evaluation())
    assert fit.score["average"].value == pytest.approx(again.average)
    assert fit.difference["average"].value == pytest.approx(again.average - own.average)
    assert set(mean.score) == {"average", "chance_normalised", "soft", "drift"} and "drift" not in family.score
    assert mean.difference["drift"].low is not None
    lost = {item.how: -item.difference["soft"].value for item in measured.exports if item.how != "family"}
    assert measured.worth["soft"].value == pytest.approx(min(lost.values()))
    assert measured.best["soft"] == min(lost, key=lost.get)


def evaluation() -> dict:
    return {name: value for name, value in VALUES.items() if name != "measure"}


def test_each_family_is_answered_by_its_own_adapter(exported):
    home = exported.folder / "evaluations" / "family"
    samples = {}
    for family in ("paraphrase_detection", "textual_entailment"):
        result = json.loads((home / family / "result.json").read_text())
        folder = exported.record.exports[1].adapters[family]
        assert result["adapter"]["fingerprint"] == folder.fingerprint
        rows = read_samples(home / family / "samples.parquet")
        assert {row["family"] for row in rows} == {family}
        samples[family] = 100 * np.mean([row["score"] for row in rows])
    _, family, _ = exported.record.measured.exports
    assert family.score["average"].value == pytest.approx(np.mean(list(samples.values())))


def test_the_report_shows_what_is_lost_and_what_the_router_is_worth(exported):
    text = exported.markdown
    for part in (
        "## What is lost",
        "## What the router is worth",
        "| fit |",
        "as if the task of every request",
        "drift",
    ):
        assert part in text
    assert "covers that the best was chosen" in text and "Difference by family" in text


def test_a_family_without_validation_rows_is_refused_before_any_work(routed, tmp_path, monkeypatch):
    mix = cme.build_mix(tmp_path / "mix", source="mini", size=100, datasets="rte,qqp", workers=1)
    monkeypatch.setattr("cme.export.run.load_model", None)
    values = VALUES | {"datasets": "rte,winogrande"}
    with pytest.raises(UsageError, match="no validation rows of the family commonsense_reasoning"):
        cme.export_lora(routed(), tmp_path / "out", how="family", data=mix, **values)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_measurement_evaluates_nothing_twice(routed, mix, tmp_path, monkeypatch):
    def stops(*args, **kwargs):
        raise KeyboardInterrupt

    values = VALUES | {"how": "mean,family", "data": mix, "tier": "smoke", "datasets": "qqp"}
    with monkeypatch.context() as patch:
        patch.setattr("cme.export.measure.measured_exports", stops)
        with pytest.warns(CMEWarning) as warned, pytest.raises(KeyboardInterrupt):
            cme.export_lora(routed(), tmp_path / "out", **values)
    assert ["so the losses of the exports have none" in str(item.message) for item in warned] == [True]
    assert not (tmp_path / "out" / "export.json").exists()
    monkeypatch.setattr("cme.export.run.load_model", None)
    monkeypatch.setattr("cme.evaluation.session.load_model", None)
    exported = cme.export_lora(routed(), tmp_path / "out", **values)
    mean, family = exported.record.measured.exports
    assert mean.difference["average"].low is None and mean.difference["drift"].low is not None
    assert family.score["average"].low is None and "Tier smoke is too small" in exported.markdown
