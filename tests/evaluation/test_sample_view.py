"""Single samples of a result have the prompts of the evaluation, byte for byte, and the model's answers."""

import json
import shutil

import pytest

from cme.errors import DataError, SourceError, UsageError
from cme.evaluation.run import evaluate
from cme.evaluation.sample_view import choose_samples, single_samples
from cme.evaluation.settings import EvalSettings
from cme.records.samples import read_samples
from tests.hub_rows import HAND_ROWS, write_mirror


def settings(base, *datasets, **changes):
    values = {"tier": "smoke", "source": "mini", "datasets": datasets, "threads": 1, **changes}
    return EvalSettings(base=str(base), **values)


@pytest.fixture(scope="module")
def result(tiny_base, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "x"
    evaluate(settings(tiny_base, "qqp", "nq_open"), out)
    return out


def samples(folder, name):
    return {row["id"]: row for row in read_samples(folder / "samples.parquet") if row["dataset"] == name}


def asked_of(monkeypatch):
    """The prompts that reach the model during an evaluation."""
    from cme.evaluation.lm_eval_runner import Harness

    prompts, run = set(), Harness.run

    def listening(self, spec, task, **options):
        records = run(self, spec, task, **options)
        prompts.update(instance.args[0] for instance in task.instances)
        return records

    monkeypatch.setattr(Harness, "run", listening)
    return prompts


@pytest.mark.parametrize(
    "changes",
    [{}, {"shots": 2}, {"shots": 2, "prompt_variant": 3}, {"prompt_format": "chat"}, {"prompt_format": "teamlora"}],
)
def test_the_prompts_are_those_that_the_model_saw(tiny_base, tmp_path, monkeypatch, changes):
    prompts = asked_of(monkeypatch)
    evaluate(settings(tiny_base, "nq_open", **changes), tmp_path / "x")
    shown = single_samples(tmp_path / "x", "nq_open", first=8)
    assert len(shown) == 8 and {item.prompt for item in shown} == prompts


def test_inputs_that_were_cut_to_fit_are_shown_as_they_were_cut(tiny_base, tmp_path, monkeypatch):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from cme.evaluation.task import load

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    rows = load(cme_dataset="squad_v2", cme_source="mini", cme_tier="smoke")["eval"]
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    model.config.max_position_embeddings = max(len(tokenizer.encode(row["prompt"])) for row in rows) - 10
    short = tmp_path / "short"
    model.save_pretrained(short)
    tokenizer.save_pretrained(short)
    prompts = asked_of(monkeypatch)
    evaluate(settings(short, "squad_v2"), tmp_path / "x")
    shown = single_samples(tmp_path / "x", "squad_v2", first=8)
    assert any("cut" in item.marks for item in shown)
    assert {item.prompt for item in shown} == prompts
    # The tokenizer determines the truncation, so prompts cannot be shown without the base.
    with pytest.raises((UsageError, SourceError), match="nowhere"):
        single_samples(tmp_path / "x", "squad_v2", first=1, base="nowhere")


def test_a_choice_is_shown_with_its_options_and_answers(result):
    kept = samples(result, "qqp")
    for item in single_samples(result, "qqp", first=8):
        assert item.options == (" not duplicate", " duplicate")
        assert item.prompt.endswith("\n\nAnswer:") and item.text is None
        assert item.predicted == max((0, 1), key=lambda index: item.logprobs[index])
        assert (item.gold, item.score) == (kept[item.id]["gold"], float(item.gold == item.predicted))


def test_a_text_is_shown_with_the_accepted_answers(result):
    from cme.suite import dataset
    from cme.suite.metrics import score_generated

    for item in single_samples(result, "nq_open", first=8):
        assert item.gold is None and item.options == () and item.accepted
        assert score_generated(item.text, item.accepted, dataset("nq_open")) == item.scores


def test_wrong_samples_right_samples_and_ids(result):
    kept = samples(result, "qqp")
    wrong, right = single_samples(result, "qqp", wrong=8), single_samples(result, "qqp", right=8)
    assert {item.score for item in wrong} == {0.0} and {item.score for item in right} == {1.0}
    assert len(wrong) + len(right) == len(kept) == 8, "a baseline of one class? then this test shows nothing"
    assert [item.gold_probability for item in wrong] == sorted(item.gold_probability for item in wrong)
    assert [item.gold_probability for item in right] == sorted((item.gold_probability for item in right), reverse=True)
    (one,) = single_samples(result, "qqp", ids=[wrong[0].id[:12]])
    assert one == wrong[0]
    with pytest.raises(UsageError, match="no sample has an id that begins with 'zz'"):
        single_samples(result, "qqp", ids=["zz"])


def test_the_lowest_scores_come_first_and_no_sample_twice():
    rows = [
        {"id": name, "score": score, "gold_probability": probability}
        for name, score, probability in [("a", 1.0, 0.9), ("b", 0.0, 0.3), ("c", 0.0, 0.1), ("d", 0.5, None)]
    ]
    assert [row["id"] for row in choose_samples(rows, wrong=9)] == ["c", "b", "d"]
    assert [row["id"] for row in choose_samples(rows, right=9)] == ["a", "d"]
    assert [row["id"] for row in choose_samples(rows, wrong=9, right=9, ids=["b"])] == ["c", "b", "d", "a"]


def test_without_responses_the_scores_are_shown(result, tmp_path):
    folder = tmp_path / "x"
    shutil.copytree(result, folder)
    (folder / "responses.parquet").unlink()
    for name in ("qqp", "nq_open"):
        for item in single_samples(folder, name, first=8):
            assert item.logprobs is None and item.text is None and item.prompt


def test_a_dataset_that_was_not_evaluated(result):
    with pytest.raises(UsageError, match=r"no samples of arc\. It has: .*qqp"):
        single_samples(result, "arc", first=1)


@pytest.fixture
def mirrored(tmp_path):
    """A mirror, and a result that was evaluated on it."""
    mirror = write_mirror(tmp_path / "mirror", {name: HAND_ROWS[name] for name in ("qqp/train", "qqp/validation")})
    evaluate(settings("", "qqp", source=str(mirror), baseline="majority"), tmp_path / "x")
    return mirror, tmp_path / "x"


def test_rows_are_read_from_the_source_of_the_evaluation(mirrored):
    mirror, folder = mirrored
    shown = single_samples(folder, "qqp", first=2)
    assert {item.id for item in shown} <= set(samples(folder, "qqp"))
    (folder / ".cme.json").unlink()  # the record itself names the mirror without its path
    with pytest.raises(UsageError, match=r"on the rows of 'mirror', which is not a folder on this machine\."):
        single_samples(folder, "qqp", first=2)
    assert single_samples(folder, "qqp", first=2, source=str(mirror)) == shown


def test_rows_that_changed_are_refused(mirrored):
    mirror, folder = mirrored
    other = HAND_ROWS["qqp/validation"][:1]
    write_mirror(mirror, {"qqp/validation": other})
    with pytest.raises(DataError, match=r"qqp: the rows of .* have changed since the evaluation .*validation"):
        single_samples(folder, "qqp", first=2)
    with pytest.raises(DataError, match="missing from the rows of mini"):
        single_samples(folder, "qqp", first=2, source="mini")


def test_a_changed_task_file_is_refused(mirrored):
    _, folder = mirrored
    values = json.loads((folder / "result.json").read_text())
    values["task_fingerprints"]["qqp"] = "f" * 64
    (folder / "result.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="qqp: the task file has changed since the evaluation"):
        single_samples(folder, "qqp", first=2)
