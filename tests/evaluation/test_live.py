"""Several models are evaluated on the same rows until their comparison stops."""

import pytest

from cme.errors import UsageError
from cme.evaluation.live import LiveModel, evaluate_live
from cme.evaluation.row_rules import until_precise
from cme.evaluation.run import evaluate
from cme.evaluation.session import Session
from cme.records import Result, read_record
from cme.records.samples import read_samples
from cme.stats import average_weights, make_panel
from cme.stats.until import Until
from tests.evaluation.growing import computed
from tests.evaluation.growing import settings as settings_of
from tests.evaluation.runs import save_adapter

NAMES = ("arc", "commonsense_qa", "sciq")


def settings(base, **changes):
    return settings_of(base, datasets=NAMES, **changes)


@pytest.fixture(scope="module")
def adapter(tiny_base, tmp_path_factory):
    return save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "one", 0.3)


@pytest.fixture(scope="module")
def other_base(tiny_base, tmp_path_factory):
    """A base with other weights."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("other") / "base"
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
    return folder


def panel_of(look):
    assert len({tuple(sample["id"] for sample in samples) for samples in look.samples}) == 1, "other rows"
    first = look.samples[0]
    clusters = {name: [row["cluster"] for row in first if row["dataset"] == name] for name in look.rows}
    scores = {
        str(k): {name: [row["score"] for row in samples if row["dataset"] == name] for name in look.rows}
        for k, samples in enumerate(look.samples)
    }
    families = {row["dataset"]: row["family"] for row in first}
    return make_panel(scores, clusters, untrained=scores), average_weights(families)


def models(base, adapter, out):
    """An adapter and its base, which have the same scores on these rows."""
    return [LiveModel("one", str(base), str(adapter), out / "one"), LiveModel("base", str(base), None, out / "base")]


def bases(base, other, out):
    """Two bases, which have different scores."""
    return [LiveModel("one", str(other), None, out / "one"), LiveModel("base", str(base), None, out / "base")]


@pytest.fixture(scope="module")
def compared(tiny_base, other_base, tmp_path_factory):
    out, states = tmp_path_factory.mktemp("compared"), []
    results = evaluate_live(
        bases(tiny_base, other_base, out), settings(tiny_base), Until(8.2), panel_of, looked=states.append
    )
    return out, results, states


def test_all_models_have_the_same_rows(compared):
    out, results, states = compared
    assert [result.name for result in results] == ["one", "base"]
    assert results[0].rows.counts == results[1].rows.counts == states[-1].last.rows
    assert results[0].rows.identity == results[1].rows.identity
    assert results[0].rows.chosen_by == tuple(result.base_fingerprint for result in results)
    assert (results[0].rows.rule, results[0].rows.stopped) == ("precision", "precise") and len(states) > 1
    assert max(item.half_width for item in states[-1].last.items) <= 8.2
    ids = [[sample["id"] for sample in read_samples(out / name / "samples.parquet")] for name in ("one", "base")]
    assert ids[0] == ids[1]


def test_the_base_is_loaded_once_and_not_at_all_for_a_finished_comparison(
    tiny_base, adapter, other_base, compared, tmp_path, monkeypatch
):
    made = []
    init = Session.__init__

    def counted(self, *args, **options):
        made.append(self)
        init(self, *args, **options)

    monkeypatch.setattr(Session, "__init__", counted)
    few = settings_of(tiny_base, datasets=("qqp", "rte"))
    results = evaluate_live(models(tiny_base, adapter, tmp_path), few, Until(20.0), panel_of)
    assert len(made) == 1 and results[0].adapter is not None and results[1].adapter is None
    assert results[0].rows.chosen_by == (results[0].adapter.fingerprint, results[0].base_fingerprint)
    out, results, states = compared
    again = []
    assert (
        evaluate_live(bases(tiny_base, other_base, out), settings(tiny_base), Until(8.2), panel_of, looked=again.append)
        == results
    )
    assert again == states and len(made) == 1


def test_a_stricter_comparison_extends_the_rows(tiny_base, other_base, compared):
    out, results, _ = compared
    before = {name: computed(out / name) for name in ("one", "base")}
    more = evaluate_live(bases(tiny_base, other_base, out), settings(tiny_base), Until(7.5), panel_of)
    assert more[0].rows.total > results[0].rows.total
    for name, batches in before.items():
        assert {key: computed(out / name)[key] for key in batches} == batches
        assert read_record(out / name / "result.json", Result).rows.counts == more[0].rows.counts


def test_a_rule_that_decides_is_recorded(tiny_base, other_base, tmp_path):
    results = evaluate_live(
        bases(tiny_base, other_base, tmp_path), settings(tiny_base), Until.parse("decided:10"), panel_of
    )
    assert results[0].rows.rule == "decided" and results[0].rows.alpha == 0.04


def test_an_evaluation_of_one_model_is_continued(tiny_base, other_base, tmp_path):
    alone = evaluate(settings(tiny_base, name="base"), tmp_path / "base", until_precise(5.5))
    results = evaluate_live(bases(tiny_base, other_base, tmp_path), settings(tiny_base), Until(8.2), panel_of)
    assert len(alone.rows.looks) > 1 and len(results[0].rows.looks) > 1
    assert results[0].rows.looks[1].rows == alone.rows.looks[1].rows, "rows that one model has are used first"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda given: given.clear(), "no models"),
        (lambda given: given.append(given[0]), "the same output folder"),
    ],
)
def test_what_cannot_be_compared(tiny_base, adapter, tmp_path, change, says):
    given = models(tiny_base, adapter, tmp_path)
    change(given)
    with pytest.raises(UsageError, match=says):
        evaluate_live(given, settings(tiny_base), Until(9.0), panel_of)
    with pytest.raises(UsageError, match="baseline majority"):
        evaluate_live(
            models(tiny_base, adapter, tmp_path), settings(tiny_base, baseline="majority"), Until(9.0), panel_of
        )


def test_folders_with_different_rows_are_named(tiny_base, adapter, tmp_path):
    evaluate(settings(tiny_base), tmp_path / "base", until_precise(5.5))
    evaluate(settings(tiny_base, adapter=str(adapter)), tmp_path / "one", until_precise(5.5))
    stages = tmp_path / "one" / "stages.jsonl"
    lines = stages.read_bytes().splitlines(keepends=True)
    from cme.evaluation.store import Lines

    stages.write_bytes(lines[0])
    Lines(stages).append({"stage": 1, "rows": dict.fromkeys(NAMES, 65)})
    with pytest.raises(UsageError, match="has other rows than the other models' folders"):
        evaluate_live(models(tiny_base, adapter, tmp_path), settings(tiny_base), Until(3.0), panel_of)
