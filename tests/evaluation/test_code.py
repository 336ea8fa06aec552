"""Evaluation of programs: they run only if that is allowed, and their outcomes are stored."""

import json
import math

import pytest
from typer.testing import CliRunner

import cme
from cme.cli.main import app
from cme.data.load import normalise_all
from cme.errors import DataError, UsageError
from cme.evaluation import code
from cme.evaluation.task import load, process_generation
from cme.leaderboard.entries.samples import check_answers
from cme.records.samples import read_samples
from cme.sandbox import OUTCOMES, Outcome
from cme.suite import dataset
from tests.hub_rows import HAND_ROWS, write_mirror
from tests.hub_rows.code import humaneval
from tests.sandbox.isolations import sandbox

SPEC = dataset("humaneval")


@pytest.fixture
def rows(tmp_path):
    """A mirror with rows of a programming dataset and of another one of the same suite."""
    names = ("humaneval/test", "gsm8k/train", "gsm8k/test")
    return write_mirror(tmp_path / "rows", {name: HAND_ROWS[name][:2] for name in names})


def record(k: int, answer: str) -> dict:
    (example,) = normalise_all([humaneval(k)], SPEC).examples
    doc = {"id": example.id, "dataset": "humaneval", "answers": list(example.answers), "run_code": "sandboxed"}
    return {"doc": doc, "filtered_resps": [answer]}


RECORDS = [
    record(1, "    return number + 1"),
    record(2, "def plus_2(number):\n    return number"),
    record(3, "I cannot do this."),
    record(4, ""),
    record(5, "import os\nos._exit(0)\ndef plus_5(number):\n    return number + 5"),
]
EXPECTED = ["pass_at_1", "failed", "error", "error", "exited"]


def outcomes_of(records: list[dict]) -> list[str]:
    assert all(sum(item[name] for name in SPEC.metrics) == 1 for item in records)
    assert all(item["cme_score"] == item["pass_at_1"] for item in records)
    return [next(name for name in SPEC.metrics if item[name]) for item in records]


def test_outcomes_are_scores(tmp_path):
    sandbox()
    advanced: list[float] = []
    scored = code.run_records(RECORDS, SPEC, tmp_path, "sandboxed", advanced.append)
    assert outcomes_of(scored) == EXPECTED
    assert sum(advanced) == len(RECORDS)


def test_a_finished_program_never_runs_again(tmp_path, monkeypatch):
    sandbox()
    code.run_records(RECORDS[:3], SPEC, tmp_path, "sandboxed", lambda count: None)
    ran: list[int] = []
    original = code.run_programs

    def counted(programs, *more):
        ran.append(len(programs))
        return original(programs, *more)

    monkeypatch.setattr(code, "run_programs", counted)
    assert outcomes_of(code.run_records(RECORDS, SPEC, tmp_path, "sandboxed", lambda count: None)) == EXPECTED
    assert ran == [2]
    monkeypatch.setattr(code, "open_isolation", None)
    assert outcomes_of(code.run_records(RECORDS, SPEC, tmp_path, "sandboxed", lambda count: None)) == EXPECTED


def test_an_interruption_keeps_the_finished_programs(tmp_path):
    sandbox()

    def stop(count: float) -> None:
        if count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        code.run_records(RECORDS, SPEC, tmp_path, "sandboxed", stop)
    assert len((tmp_path / "outcomes.jsonl").read_text().splitlines()) >= 1


@pytest.mark.parametrize("status", OUTCOMES)
def test_each_outcome_is_one_score(status):
    scores = code.outcome_scores(Outcome(status), SPEC)
    assert sum(scores[name] for name in SPEC.metrics) == 1
    assert scores["cme_score"] == float(status == "passed")


def test_plain_lm_eval_runs_each_program_in_the_sandbox(rows):
    sandbox()
    doc = dict(load(cme_dataset="humaneval", cme_source=str(rows))["eval"][0])
    assert doc["run_code"] == "sandboxed"
    number = json.loads(doc["answers"][0])["names"][0].removeprefix("plus_")
    assert process_generation(doc, [f"    return number + {number}"])["cme_score"] == 1.0
    assert process_generation(doc, ["    return 0"])["failed"] == 1.0


def test_a_program_that_has_not_run_has_no_score(rows):
    doc = dict(load(cme_dataset="humaneval", cme_source=str(rows), cme_run_code=code.LATER)["eval"][0])
    assert all(math.isnan(value) for value in process_generation(doc, ["    return 1"]).values())


def evaluated(base, rows, out, *more: str, datasets: str = "humaneval,gsm8k"):
    words = [
        "eval",
        "--base",
        str(base),
        "--source",
        str(rows),
        "--tier",
        "smoke",
        "--datasets",
        datasets,
        "--threads",
        "1",
    ]
    return CliRunner().invoke(app, [*words, "--out", str(out), *more])


def test_without_the_option_code_is_skipped_and_said(tiny_base, rows, tmp_path):
    done = evaluated(tiny_base, rows, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "Skipped: humaneval. The code that the model writes must run to score them. Add --run-code" in done.output
    assert "CME-R average over the evaluated family" in done.output
    result = cme.load_result(tmp_path / "out").record
    assert result.skipped == ("humaneval",)
    assert [family.family for family in result.scores.families] == ["mathematical_reasoning"]
    assert not result.scores.complete


def test_code_alone_needs_the_option(tiny_base, rows, tmp_path):
    done = evaluated(tiny_base, rows, tmp_path / "out", datasets="humaneval")
    assert done.exit_code == 2
    assert "to score humaneval, the code that the model writes must run. Add --run-code" in done.output
    assert not (tmp_path / "out").exists()


def test_missing_bubblewrap_stops_before_the_model_is_loaded(rows, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = evaluated("no-such-base", rows, tmp_path / "out", "--run-code")
    assert done.exit_code == 2
    assert "there is no bwrap" in done.output


def test_programs_run_and_only_their_outcomes_are_stored(tiny_base, rows, tmp_path, monkeypatch):
    sandbox()
    done = evaluated(tiny_base, rows, tmp_path / "out", "--run-code")
    assert done.exit_code == 0, done.output
    assert "HumanEval are on many web pages" in done.output
    samples = [item for item in read_samples(tmp_path / "out" / "samples.parquet") if item["dataset"] == "humaneval"]
    assert len(samples) == 2
    assert all(set(item["scores"]) == set(SPEC.metrics) and sum(item["scores"].values()) == 1 for item in samples)
    result = cme.load_result(tmp_path / "out").record
    assert (result.run_code, result.skipped) == ("sandboxed", None)
    # Scores follow from the stored outcomes, also where no code can run.
    monkeypatch.setenv("PATH", str(tmp_path))
    scored = CliRunner().invoke(app, ["score", str(tmp_path / "out"), "--json"])
    assert scored.exit_code == 0, scored.output
    check_answers(samples, "the samples")


def test_the_explicit_choice_without_a_sandbox(tiny_base, rows, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = cme.evaluate(
        base=str(tiny_base), source=str(rows), tier="smoke", datasets="humaneval", run_code="unsandboxed", threads=1
    ).record
    assert result.run_code == "unsandboxed"
    with pytest.raises(UsageError, match="way to run code"):
        cme.evaluate(base=str(tiny_base), source=str(rows), datasets="humaneval", run_code="yes")


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"pass_at_1": 1.0, "failed": 1.0}, "its program has 2 outcomes; expected 1"),
        ({}, "its program has 0 outcomes"),
        ({"pass_at_1": 0.5, "failed": 0.5}, "pass_at_1 is 0.5; expected 0 or 1"),
    ],
)
def test_outcomes_that_contradict_each_other_are_refused(scores, message):
    full = {name: scores.get(name, 0.0) for name in SPEC.metrics}
    sample = {
        "id": "0" * 32, "dataset": "humaneval", "family": SPEC.family, "part": "humaneval", "cluster": "c", "options": 0,
        "score": full["pass_at_1"], "scores": full, "gold": None, "predicted": None, "gold_probability": None, "empty": False,
        "truncated": False, "cut": False,
    }  # fmt: skip
    with pytest.raises(DataError, match=message):
        check_answers([sample], "the samples")


def test_commands_that_run_no_programs_refuse_a_named_dataset_and_leave_it_out_of_a_suite():
    from cme.evaluation.code import left_out_programs, without_programs
    from cme.suite import datasets, in_suite

    for names, which in ((("qqp", "humaneval"), "humaneval is"), (("code_generation",), "humaneval and mbpp are")):
        with pytest.raises(UsageError, match=f"^{which} scored by running .* which cme analyse does not do. Leave"):
            without_programs(names, "cme analyse")
        assert left_out_programs(names, "cme analyse") is None
    suite = in_suite("cme-r", None)
    kept = {spec.name for spec in without_programs(suite, "cme analyse")}
    assert kept == set(datasets("cme-r")) - {"humaneval", "mbpp"}
    assert left_out_programs(suite, "cme analyse").startswith("humaneval and mbpp are left out, because cme analyse")
    assert left_out_programs(None, "cme analyse") is None
