"""Answers of the baselines equal those worked out by hand from a few rows."""

import math

import pytest

from cme.errors import CMEWarning, SourceError, UsageError
from cme.evaluation.baseline import first_sentence
from cme.evaluation.run import evaluate
from cme.evaluation.settings import EvalSettings
from cme.records import Result, read_record
from cme.records.samples import read_samples
from cme.suite import dataset, datasets
from cme.suite.baselines import left_out
from cme.suite.suites import SUITES
from tests.evaluation.test_run import responses
from tests.hub_rows.open_qa import nq_row
from tests.hub_rows.paraphrase import qqp_row
from tests.hub_rows.reading import UNANSWERED, squad_row
from tests.hub_rows.science import arc_row
from tests.hub_rows.summaries import cnn_row


def run(name, mirror, out, *names, **changes):
    values = {"tier": "full", "source": str(mirror), "datasets": names or None, "baseline": name} | changes
    return evaluate(EvalSettings(base="never looked for", **values), out)


def values(result):
    return {item.dataset: item.value for item in result.scores.datasets}


def test_majority_is_the_most_frequent_training_label(make_mirror, tmp_path):
    mirror = make_mirror(
        {
            "qqp/train": [qqp_row(k, label=int(k < 7)) for k in range(10)],
            "qqp/validation": [qqp_row(100 + k, label=int(k < 1)) for k in range(4)],
        }
    )
    result = run("majority", mirror, tmp_path / "out", "qqp")
    assert values(result) == {"qqp": 0.25}, "one of four evaluation rows has the label of seven of ten training rows"
    assert {row["predicted"] for row in read_samples(tmp_path / "out" / "samples.parquet")} == {1}
    # The counts are 3 and 7, so add-one smoothing gives 4/12 and 8/12.
    logprobs = [math.exp(value) for value in responses(tmp_path / "out")[0]["logprobs"]]
    assert logprobs == pytest.approx([4 / 12, 8 / 12])
    assert result.scores.datasets[0].metrics["gold_probability"] == pytest.approx((8 / 12 + 3 * 4 / 12) / 4)


def test_majority_of_letters_takes_what_the_row_has(make_mirror, tmp_path):
    three = {"text": ["tin", "lead", "iron"], "label": ["A", "B", "C"]}
    four = {"text": ["tin", "lead", "iron", "zinc"], "label": ["A", "B", "C", "D"]}
    keys = ["D"] * 5 + ["B"] * 3 + ["A"]
    train = [arc_row(k, choices=four, answerKey=key) for k, key in enumerate(keys)]
    test = [arc_row(50, choices=three, answerKey="B"), arc_row(51, choices=four, answerKey="D")]
    files = {f"{part}/train": train for part in ("arc_easy", "arc_challenge")}
    mirror = make_mirror(files | {f"{part}/test": test for part in ("arc_easy", "arc_challenge")})
    assert values(run("majority", mirror, tmp_path / "out", "arc")) == {"arc": 1.0}


def test_majority_of_free_answers(make_mirror, tmp_path):
    answers = ["Ostby", "Lind", "Lind", "Berg"]
    mirror = make_mirror(
        {
            "nq_open/train": [nq_row(k, answer=[answer]) for k, answer in enumerate(answers)],
            "nq_open/validation": [nq_row(10, answer=["the Lind"]), nq_row(11, answer=["Ostby"])],
        }
    )
    assert values(run("majority", mirror, tmp_path / "out", "nq_open")) == {"nq_open": 0.5}
    assert {row["text"] for row in responses(tmp_path / "out")} == {"Lind"}


def test_unanswerable_is_right_where_there_is_no_answer(make_mirror, tmp_path):
    rows = [squad_row(0), squad_row(1, answers=UNANSWERED), squad_row(2, answers=UNANSWERED)]
    mirror = make_mirror({"squad_v2/validation": rows})
    assert values(run("unanswerable", mirror, tmp_path / "out", "squad_v2")) == {"squad_v2": pytest.approx(2 / 3)}


def test_first_option_and_lead_1(make_mirror, tmp_path):
    mirror = make_mirror(
        {
            "qqp/validation": [qqp_row(k, label=int(k < 3)) for k in range(4)],
            "cnn_dailymail/test": [cnn_row(article="Ferry aground. Nobody hurt.", highlights="Ferry aground .")],
        }
    )
    assert values(run("first-option", mirror, tmp_path / "first", "qqp")) == {"qqp": 0.25}
    assert values(run("lead-1", mirror, tmp_path / "lead", "cnn_dailymail")) == {"cnn_dailymail": 1.0}


def test_a_baseline_answers_what_it_is_defined_for(hand_mirror, tmp_path):
    def answered(name):
        return [item.dataset for item in run(name, hand_mirror, tmp_path / name).scores.datasets]

    known = datasets()
    assert answered("majority") == list(known)
    assert answered("first-option") == [name for name, spec in known.items() if spec.kind == "choice"]
    assert answered("unanswerable") == ["squad_v2"]
    assert answered("lead-1") == [name for name, spec in known.items() if spec.family == "text_summarization"]


def test_what_was_named_and_is_not_answered_is_said(make_mirror, tmp_path, recwarn):
    mirror = make_mirror({"nq_open/validation": [nq_row(0)], "squad_v2/validation": [squad_row(0)]})
    with pytest.warns(
        CMEWarning,
        match=r"the baseline unanswerable \(.*\) is not defined for nq_open, so the result has squad_v2 only\. Leave the others",
    ):
        assert list(values(run("unanswerable", mirror, tmp_path / "two", "nq_open", "squad_v2"))) == ["squad_v2"]
    recwarn.clear()
    run("unanswerable", mirror, tmp_path / "one", "squad_v2")
    assert not [item for item in recwarn if issubclass(item.category, CMEWarning)]


@pytest.mark.parametrize(
    ("baseline", "names", "absent"),
    [
        ("majority", ("gsm8k", "humaneval"), ["humaneval"]),
        ("majority", ("gsm8k", "mbpp", "humaneval"), ["mbpp", "humaneval"]),
        ("majority", ("gsm8k", "aqua_rat"), []),
        ("majority", SUITES["cme-r"].families, []),
        ("unanswerable", None, []),
        ("unanswerable", tuple(datasets()), []),
        ("lead-1", ("text_summarization",), []),
        ("lead-1", ("text_summarization", "paraphrase_detection"), ["paraphrase_detection"]),
        ("unanswerable", (dataset("squad_v2").family,), []),
    ],
)
def test_a_suite_or_a_family_may_have_more_than_a_baseline_answers(baseline, names, absent):
    assert left_out(baseline, names) == absent


def test_a_record_says_that_no_model_answered(hand_mirror, tmp_path):
    run("majority", hand_mirror, tmp_path / "out")
    result = read_record(tmp_path / "out" / "result.json", Result)
    assert (result.baseline, result.name, result.base, result.base_fingerprint) == ("majority", "majority", "", "")
    assert result.scores.complete


def test_undefined_baselines_are_refused_before_any_work(hand_mirror, tmp_path):
    with pytest.raises(
        UsageError,
        match=r"'lead-1' .* is not defined for qqp\. Choose other datasets with --datasets, or the baseline 'majority'",
    ):
        run("lead-1", hand_mirror, tmp_path / "out", "qqp")
    with pytest.raises(
        UsageError, match=r"'majority' .* is not defined for mbpp\. Choose other datasets with --datasets\.$"
    ):
        run("majority", hand_mirror, tmp_path / "out", "mbpp")
    with pytest.raises(UsageError, match="Did you mean 'majority'"):
        run("mayority", hand_mirror, tmp_path / "out")
    with pytest.raises(UsageError, match="it cannot be combined with --adapter"):
        run("majority", hand_mirror, tmp_path / "out", adapter="x")
    assert not (tmp_path / "out").exists()


def test_majority_without_training_rows(make_mirror, tmp_path):
    files = {"qqp/validation": [qqp_row()], "nq_open/train": [nq_row(1)], "nq_open/validation": [nq_row(0)]}
    mirror = make_mirror(files)
    with pytest.raises(SourceError, match=r"qqp: qqp/train"):
        run("majority", mirror, tmp_path / "out", "qqp", "nq_open")
    result = run("majority", mirror, tmp_path / "out", "qqp", "nq_open", allow_missing=True)
    assert list(values(result)) == ["nq_open"] and len(result.missing) == 1
    with pytest.raises(SourceError, match=r"has no train or no eval rows of qqp\. Set another source"):
        run("majority", mirror, tmp_path / "other", "qqp", allow_missing=True)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two.", "One."),
        ("No stop at all", "No stop at all"),
        ("Dr. Lind met J. Berg in Ostby. They talked.", "Dr. Lind met J. Berg in Ostby."),
        ("It cost 3.50 crowns. Cheap.", "It cost 3.50 crowns."),
        ("A headline\nThe text. More.", "A headline"),
        ("“Come!” she said. He came.", "“Come!” she said."),
        ("He said “No.” The end.", "He said “No.”"),
        ("Really? Yes.", "Really?"),
        ("", ""),
    ],
)
def test_first_sentence(text, first):
    assert first_sentence(text) == first
