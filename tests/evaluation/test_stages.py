"""An evaluation that grows in stages gives the scores of a plain one, and computes no row twice."""

import dataclasses
import json
import random
import signal
import time
from itertools import pairwise

import pytest

from cme.errors import AdapterError, UsageError
from cme.evaluation.lm_eval_runner import Harness
from cme.evaluation.row_rules import ByScores, GivenRows, until_precise
from cme.evaluation.run import evaluate, evaluate_each
from cme.records import Result, read_record
from cme.records.samples import read_samples
from cme.stats.until import Until
from cme.suite.precision import average_interval, half_width
from cme.suite.score import aggregate
from cme.workdir import FinishedError, is_finished
from tests.evaluation.growing import NAMES, computed, settings
from tests.evaluation.runs import TIMED, assert_close, save_adapter, start


@pytest.fixture(scope="module")
def plain(tiny_base, tmp_path_factory):
    """A plain evaluation of tier quick."""
    out = tmp_path_factory.mktemp("plain") / "quick"
    evaluate(settings(tiny_base, tier="quick"), out)
    return out


@pytest.fixture(scope="module")
def precise(tiny_base, tmp_path_factory):
    """An evaluation until ±5 points."""
    out = tmp_path_factory.mktemp("precise") / "x"
    evaluate(settings(tiny_base), out, until_precise(5.0))
    return out


def test_rows_that_grow_have_the_scores_of_a_plain_evaluation(tiny_base, plain, tmp_path):
    for counts in (
        {"qqp": 20, "rte": 30, "nq_open": 10},
        {"qqp": 20, "rte": 64, "nq_open": 11},
        dict.fromkeys(NAMES, 64),
    ):
        result = evaluate(settings(tiny_base), tmp_path / "x", GivenRows(counts))
        assert {item.dataset: item.n for item in result.scores.datasets} == counts
        assert result.rows.counts == counts and result.rows.available == dict.fromkeys(NAMES, 500)
        assert (result.rows.rule, result.rows.stopped, result.rows.half_width) == ("given", "given", None)
    assert_close(tmp_path / "x", plain)
    rows = [[sample["id"] for sample in read_samples(out / "samples.parquet")] for out in (tmp_path / "x", plain)]
    assert rows[0] == rows[1], "the rows have the order of the tier"
    parts = {"nq_open": ["0-10", "10-11", "11-64"], "qqp": ["0-20", "20-64"], "rte": ["0-30", "30-64"]}
    assert {key: sorted(path.name for path in (tmp_path / "x/parts" / key).iterdir()) for key in NAMES} == parts


def test_a_plain_tier_is_stored_as_before(plain):
    assert "rows" not in json.loads((plain / "result.json").read_text())
    assert sorted(path.name for path in (plain / "parts" / "qqp").iterdir()) == [
        "answers.0.jsonl",
        "done.json",
        "responses.parquet",
        "samples.parquet",
    ]


def test_a_stage_computes_only_its_own_rows(tiny_base, tmp_path, monkeypatch):
    run, evaluated = Harness.run, []

    def counted(self, spec, task, **options):
        evaluated.append((spec.name, len(task.eval_docs)))
        return run(self, spec, task, **options)

    monkeypatch.setattr(Harness, "run", counted)
    evaluate(settings(tiny_base, datasets=("qqp", "rte")), tmp_path / "x", GivenRows({"qqp": 12, "rte": 12}))
    before = (tmp_path / "x/parts/qqp/0-12/answers.0.jsonl").read_bytes()
    evaluate(settings(tiny_base, datasets=("qqp", "rte")), tmp_path / "x", GivenRows({"qqp": 17, "rte": 12}))
    assert evaluated == [("qqp", 12), ("rte", 12), ("qqp", 5)]
    assert (tmp_path / "x/parts/qqp/0-12/answers.0.jsonl").read_bytes() == before


def test_few_shot_examples_are_those_of_a_plain_evaluation(tiny_base, tmp_path):
    few = settings(tiny_base, datasets=("qqp",), shots=2)
    evaluate(few, tmp_path / "x", GivenRows({"qqp": 3}))
    evaluate(few, tmp_path / "x", GivenRows({"qqp": 8}))
    evaluate(dataclasses.replace(few, tier="smoke"), tmp_path / "y")
    assert_close(tmp_path / "x", tmp_path / "y")


def test_until_stops_at_the_half_width_and_records_why(precise):
    result = read_record(precise / "result.json", Result)
    rows, samples = result.rows, read_samples(precise / "samples.parquet")
    assert aggregate(samples, tier="standard") == result.scores
    assert (rows.rule, rows.stopped, rows.half_width, rows.alpha) == ("precision", "precise", 5.0, 0.05)
    assert rows.reached == pytest.approx(half_width(average_interval(samples)), abs=1e-12) and rows.reached <= 5.0
    assert rows.chosen_by == (result.base_fingerprint,) and rows.identity == rows.expected_identity()
    looks = [look.rows for look in rows.looks]
    assert looks[0] == dict.fromkeys(NAMES, 64) and looks[-1] == rows.counts
    for before, after in pairwise(looks):
        assert all(before[name] <= after[name] for name in NAMES) and before != after
    halves = [look.half_width for look in rows.looks]
    assert halves == sorted(halves, reverse=True) and all(half > 5.0 for half in halves[:-1])
    assert rows.prices["rte"] > rows.prices["qqp"] > rows.prices["nq_open"] > 1, "prices follow the length of the rows"
    assert {item.dataset: item.n for item in result.scores.datasets} == rows.counts


def test_the_rows_have_the_scores_of_a_plain_evaluation_of_the_same_rows(tiny_base, precise, tmp_path):
    counts = read_record(precise / "result.json", Result).rows.counts
    evaluate(settings(tiny_base), tmp_path / "x", GivenRows(counts))
    assert_close(precise, tmp_path / "x")


def test_the_same_evaluation_stops_at_the_same_rows(tiny_base, precise, tmp_path):
    result = evaluate(settings(tiny_base), tmp_path / "x", until_precise(5.0))
    assert result.rows == read_record(precise / "result.json", Result).rows
    assert (tmp_path / "x/samples.parquet").read_bytes() == (precise / "samples.parquet").read_bytes()


def test_a_smaller_half_width_continues_and_a_larger_one_is_finished(tiny_base, tmp_path):
    out = tmp_path / "x"
    first = evaluate(settings(tiny_base), out, until_precise(5.3))
    before = computed(out)
    for enough in (5.3, 6.0):
        with pytest.raises(FinishedError):
            evaluate(settings(tiny_base), out, until_precise(enough))
    second = evaluate(settings(tiny_base), out, until_precise(4.8))
    assert second.rows.reached <= 4.8 < first.rows.reached and second.rows.total > first.rows.total
    assert {name: computed(out)[name] for name in before} == before, "rows were computed again"
    assert [look.rows for look in second.rows.looks][: len(first.rows.looks)] == [
        look.rows for look in first.rows.looks
    ]
    assert is_finished(out)


def test_an_unreachable_half_width_says_what_can_be_reached_and_loses_nothing(tiny_base, tmp_path):
    out = tmp_path / "x"
    with pytest.raises(UsageError, match=r"±0\.2 points cannot be reached.* 1,500 .* about ±2\.\d.*192 .* kept in .*x"):
        evaluate(settings(tiny_base), out, until_precise(0.2))
    before = computed(out)
    assert not (out / "result.json").exists() and len(before) == 3
    result = evaluate(settings(tiny_base), out, until_precise(5.8))
    assert result.rows.stopped == "precise"
    assert {name: computed(out)[name] for name in before} == before


def test_all_rows_are_used_if_the_half_width_is_just_out_of_reach(tiny_base, tmp_path):
    wanted = settings(tiny_base, tier="quick")
    reached = half_width(average_interval(read_samples(_quick(tiny_base, tmp_path) / "samples.parquet")))
    result = evaluate(wanted, tmp_path / "x", until_precise(0.95 * reached))
    assert (result.rows.stopped, result.rows.counts) == ("exhausted", dict.fromkeys(NAMES, 64))
    assert "All rows are used" in result.rows.summary(result.scores.average, result.tier)
    with pytest.raises(FinishedError):
        evaluate(wanted, tmp_path / "x", until_precise(0.5 * reached))


def _quick(base, folder):
    evaluate(settings(base, tier="quick"), folder / "quick")
    return folder / "quick"


def test_a_dataset_with_one_cluster_is_named(tiny_base, tmp_path, make_mirror):
    from tests.hub_rows import HAND_ROWS

    rows = HAND_ROWS["squad_v2/validation"]
    one = [
        row | {"id": f"q{k}", "question": f"{rows[0]['question']} {k}", "context": rows[0]["context"]}
        for k, row in enumerate(rows)
    ]
    mirror = make_mirror({"squad_v2/validation": one, "qqp/validation": HAND_ROWS["qqp/validation"]})
    wanted = settings(tiny_base, datasets=("squad_v2", "qqp"), source=str(mirror))
    with pytest.raises(UsageError, match=r"squad_v2 have only one cluster.*--datasets.*are kept in"):
        evaluate(wanted, tmp_path / "x", until_precise(30.0))
    result = evaluate(dataclasses.replace(wanted, datasets=("qqp",)), tmp_path / "x", until_precise(60.0))
    assert list(result.rows.counts) == ["qqp"]


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"qqp": 600, "rte": 5}, "600 rows of qqp were requested, but tier standard has 500"),
    ],
)
def test_more_rows_than_there_are(tiny_base, tmp_path, counts, says):
    with pytest.raises(UsageError, match=says):
        evaluate(settings(tiny_base, datasets=tuple(counts)), tmp_path / "x", GivenRows(counts))
    assert not (tmp_path / "x").exists()


def test_an_evaluation_grows_but_does_not_shrink(tiny_base, tmp_path):
    wanted = settings(tiny_base, datasets=("qqp",))
    evaluate(wanted, tmp_path / "x", GivenRows({"qqp": 9}))
    with pytest.raises(UsageError, match="has 9 rows of qqp, but 8 were requested"):
        evaluate(wanted, tmp_path / "x", GivenRows({"qqp": 8}))
    with pytest.raises(FinishedError):
        evaluate(wanted, tmp_path / "x", GivenRows({"qqp": 9}))
    with pytest.raises(UsageError, match="rows"):
        evaluate(wanted, tmp_path / "x")


def test_a_bad_adapter_leaves_nothing(tiny_base, tmp_path):
    (tmp_path / "adapter").mkdir()
    with pytest.raises(AdapterError):
        evaluate(settings(tiny_base, adapter=str(tmp_path / "adapter")), tmp_path / "x", until_precise(4.0))
    assert not (tmp_path / "x").exists()


def test_several_adapters_on_given_rows(tiny_base, tmp_path):
    adapter = save_adapter(tiny_base, tmp_path / "one", 0.3)
    counts = {"qqp": 6, "rte": 4}
    wanted = settings(tiny_base, datasets=tuple(counts))
    results = evaluate_each(wanted, [str(adapter), "base"], tmp_path / "x", GivenRows(counts))
    assert [result.rows.counts for result in results] == [counts, counts]
    assert results[0].adapter.changes_output and results[1].adapter is None
    again = evaluate_each(wanted, [str(adapter), "base"], tmp_path / "x", GivenRows(counts))
    assert again == results
    alone = evaluate(dataclasses.replace(wanted, adapter=str(adapter)), tmp_path / "y", GivenRows(counts))
    assert alone.samples_sha256 == results[0].samples_sha256


def test_a_baseline_answers_given_rows(tmp_path):
    counts = {"qqp": 6, "rte": 4}
    wanted = settings(tmp_path, datasets=tuple(counts), baseline="majority")
    result = evaluate(wanted, tmp_path / "x", GivenRows(counts))
    assert {item.dataset: item.n for item in result.scores.datasets} == counts == result.rows.counts
    with pytest.raises(UsageError, match="600 rows of qqp"):
        evaluate(wanted, tmp_path / "y", GivenRows({"qqp": 600, "rte": 1}))
    with pytest.raises(UsageError, match="the baseline majority costs no tokens"):
        evaluate(wanted, tmp_path / "z", until_precise(1.0))


def command(base, out, *more):
    fixed = ["--base", str(base), "--source", "mini", "--tier", "standard", "--threads", "1", "--token-budget", "200"]
    return ["-m", "cme", "eval", *fixed, "--datasets", ",".join(NAMES), "--out", str(out), *more]


@pytest.mark.long
@pytest.mark.parametrize("kills", [3, 14])
def test_killing_it_at_any_moment_loses_nothing(tiny_base, tmp_path, kills):
    words = (tiny_base, tmp_path / "x", "--until", "5.3")
    undisturbed = start(command(tiny_base, tmp_path / "y", "--until", "5.3"))
    assert undisturbed.wait(120) == 0, undisturbed.communicate()
    whole = computed(tmp_path / "y")
    for number in range(1, kills + 1):
        run, end = start(command(*words)), time.monotonic() + 100
        enough = number * sum(whole.values()) // (kills + 1)
        while sum(computed(tmp_path / "x").values()) < enough and run.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.05))
        run.send_signal(signal.SIGKILL)
        run.communicate()
    last = start(command(*words))
    output = last.communicate(timeout=120)
    assert last.returncode == 0, output
    assert " ± 5." in output[0] and "% of tier standard)." in output[0] and "\r" not in output[1], (
        "a pipe shows no bars"
    )
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("x", "y")]
    ours, theirs = ({key: value for key, value in result.items() if key not in TIMED} for result in results)
    assert ours == theirs
    for name in ("samples.parquet", "responses.parquet"):
        assert (tmp_path / "x" / name).read_bytes() == (tmp_path / "y" / name).read_bytes()
    assert computed(tmp_path / "x") == whole, "a batch was computed twice"


def test_a_rule_sees_every_look(tiny_base, tmp_path):
    from cme.suite.precision import panel_and_weights

    seen = []
    rule = ByScores(
        Until(5.0), lambda look: panel_and_weights(look.samples[0]), looked=lambda state: seen.append(state)
    )
    result = evaluate(settings(tiny_base), tmp_path / "x", rule)
    assert [dict(look.rows) for look in seen[-1].looks] == [look.rows for look in result.rows.looks]
