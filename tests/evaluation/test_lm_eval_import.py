"""lm-eval's logs become a result with the decisions of ``cme eval``, or are refused with one message."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

import cme
from cme.errors import CMEError, CMEWarning
from cme.records.samples import read_samples
from cme.suite import dataset
from tests.evaluation.runs import responses, save_adapter

NAMES = ("qqp", "nq_open", "race")


@pytest.fixture(scope="module")
def adapter(tiny_base, tmp_path_factory):
    return save_adapter(tiny_base, tmp_path_factory.mktemp("lora") / "lora", 0.3)


@pytest.fixture(scope="module")
def logs(tiny_base, adapter, tmp_path_factory):
    """Logs of plain lm_eval, run on its command line with its own model class and CME's tasks."""
    out = tmp_path_factory.mktemp("lm-eval")
    words = ["run", "--model", "hf", "--model_args", f"pretrained={tiny_base},peft={adapter},dtype=float32"]
    words += ["--tasks", ",".join(f"cme_{name}" for name in NAMES), "--include_path", cme.tasks_path()]
    words += ["--limit", "8", "--device", "cpu", "--batch_size", "4", "--log_samples", "--output_path", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", *words],
        env=os.environ | {"CME_DATA_SOURCE": "mini", "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture
def copied(logs, tmp_path):
    """A copy of the logs of one model, for tests that damage them."""
    (home,) = (path for path in logs.iterdir() if path.is_dir())
    return Path(shutil.copytree(home, tmp_path / "logs" / "model"))


def test_decisions_and_scores_are_those_of_cme(logs, tiny_base, adapter, tmp_path):
    imported = cme.from_lm_eval(logs, out=tmp_path / "imported", source="mini")
    own = cme.evaluate(
        adapter, base=str(tiny_base), source="mini", tier="smoke", datasets=NAMES, threads=1, out=tmp_path / "own"
    )
    assert imported.record.tier == "smoke" and imported.record.source == "mini"
    theirs = {row["id"]: row for row in responses(tmp_path / "own")}
    assert len(theirs) == 8 * len(NAMES)
    for row in responses(tmp_path / "imported"):
        assert row["text"] == theirs[row["id"]]["text"]
        assert (row["logprobs"] or []) == pytest.approx(theirs[row["id"]]["logprobs"] or [], abs=1e-4)
    ours, frame = imported.samples(), own.samples()
    for column in ("id", "dataset", "score", "predicted", "gold", "truncated", "empty", "cluster"):
        assert ours[column].tolist() == frame[column].tolist() or ours[column].equals(frame[column]), column
    assert imported.average == pytest.approx(own.average, abs=1e-4)
    assert imported.record.task_fingerprints == own.record.task_fingerprints
    assert imported.record.provenance == own.record.provenance


def test_the_result_says_where_it_is_from(logs, tiny_base, adapter):
    result = cme.from_lm_eval(logs, source="mini")
    record = result.record
    assert record.origin == "lm-eval" and record.base == str(tiny_base) and record.base_fingerprint
    assert record.adapter.path == str(adapter) and record.adapter.method == "lora"
    assert record.adapter.changes_output is None, "lm-eval does not say it"
    assert record.versions["lm_eval"] == "0.4.13" and set(record.engines.values()) == {"lm-eval: hf"}
    assert record.threads is None and record.name == adapter.name
    assert "Imported from lm-eval's logs" in repr(result)
    assert cme.score(result) == result.scores


def test_the_command(logs, tmp_path):
    from typer.testing import CliRunner

    from cme.cli.main import app

    done = CliRunner().invoke(
        app, ["import-lm-eval", str(logs), "--source", "mini", "--out", str(tmp_path / "x"), "--name", "mine"]
    )
    assert done.exit_code == 0 and "CME average over the 3 evaluated families" in done.stdout, done.output
    assert "unknown" not in done.output, "the model is in a folder, which has its tokenizer"
    assert cme.load_result(tmp_path / "x").name == "mine"
    again = CliRunner().invoke(app, ["import-lm-eval", str(logs), "--source", "mini", "--out", str(tmp_path / "x")])
    assert again.exit_code == 2 and "finished output of this command" in again.stderr


def one(folder, pattern):
    (file,) = folder.glob(pattern)
    return file


def edit_samples(folder, change, task="qqp"):
    """Change the list of samples of a task."""
    file = one(folder, f"samples_cme_{task}_*.jsonl")
    samples = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    samples = change(samples) or samples
    file.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")


def edit_results(folder, change):
    file = one(folder, "results_*.json")
    values = json.loads(file.read_text(encoding="utf-8"))
    change(values)
    file.write_text(json.dumps(values), encoding="utf-8")


def first(**values):
    return lambda samples: samples[0].update(values)


def with_doc(**values):
    return lambda samples: samples[0]["doc"].update(values)


SPOILED = {
    "no samples": (lambda f: [file.unlink() for file in f.glob("samples_*")], "has no samples of cme_. tasks"),
    "no results": (lambda f: one(f, "results_*").unlink(), "is missing. Copy it to this folder"),
    "results damaged": (lambda f: one(f, "results_*").write_text("{"), "is not readable JSON"),
    "results no object": (lambda f: one(f, "results_*").write_text("[]"), "is not a results file of lm-eval"),
    "line damaged": (lambda f: one(f, "samples_cme_qqp*").write_text("{\n"), "line 1 is not valid JSON"),
    "deep line": (lambda f: one(f, "samples_cme_qqp*").write_text("[" * 100_000), "line 1 is not valid JSON"),
    "no doc": (lambda f: edit_samples(f, first(doc=None)), "the key doc is missing"),
    "no doc id": (lambda f: edit_samples(f, first(doc_id=None)), "has no doc_id"),
    "doc id true": (lambda f: edit_samples(f, first(doc_id=True)), "has no doc_id"),
    "no answers": (lambda f: edit_samples(f, first(filtered_resps=[])), "has no answers"),
    "too few answers": (
        lambda f: edit_samples(f, first(filtered_resps=[["-1.0", "False"]])),
        "1 log-probabilities for 2 options",
    ),
    "answers no numbers": (lambda f: edit_samples(f, first(filtered_resps=["x", "y"])), "is not a log-probability"),
    "nan": (
        lambda f: edit_samples(f, first(filtered_resps=[["nan", "False"], ["-1", "False"]])),
        "not a finite number",
    ),
    "other score": (
        lambda f: edit_samples(f, first(cme_score=0.5)),
        "the logged score is 0.5, but this version of CME computes",
    ),
    "other prompt text": (
        lambda f: edit_samples(f, with_doc(prompt="Are they the same?")),
        "differs from the row .* source 'mini'",
    ),
    "other gold": (lambda f: edit_samples(f, with_doc(gold=0, target=" x")), "differs from the row .* source 'mini'"),
    "no target": (
        lambda f: edit_samples(f, lambda s: s[0]["doc"].pop("gold") and None),
        "differs from the row .* 'mini'",
    ),
    "other model input": (
        lambda f: edit_samples(f, lambda s: s[0]["arguments"]["gen_args_0"].update(arg_0="x")),
        "the prompt differs from CME's prompt",
    ),
    "other limits": (
        lambda f: edit_samples(f, lambda s: s[0]["arguments"]["gen_args_0"]["arg_1"].update(max_gen_toks=9), "nq_open"),
        "is not CME's limit of 24",
    ),
    "a row twice": (lambda f: edit_samples(f, lambda s: [*s, s[0]]), "doc_id 0 occurs twice"),
    "no tier": (lambda f: edit_samples(f, lambda s: s[:5]), "has 5 of the 512 rows, which is not a tier"),
    "not the first rows": (lambda f: edit_samples(f, lambda s: s[1:]), "has 7 of the 512 rows, which is not a tier"),
    "chat template": (
        lambda f: edit_results(f, lambda v: v.update(chat_template_sha="abc")),
        "run with --apply_chat_template",
    ),
    "gen kwargs": (lambda f: edit_results(f, lambda v: v["config"].update(gen_kwargs={"top_k": 2})), "--gen_kwargs"),
    "no model": (
        lambda f: edit_results(f, lambda v: (v["config"].update(model_args={}), v.update(model_name=None))),
        "the log does not name the model",
    ),
    "strange task": (
        lambda f: one(f, "samples_cme_qqp*").rename(f / one(f, "samples_cme_qqp*").name.replace("qqp", "qqpp")),
        "which is not a task of this version of CME",
    ),
    "shots that are not": (
        lambda f: edit_results(f, lambda v: v["n-shot"].update(cme_qqp=2)),
        "were run with different models or settings",
    ),
}


@pytest.mark.parametrize("name", list(SPOILED))
def test_damaged_or_incomplete_logs_are_refused_in_one_sentence(copied, tmp_path, name):
    spoil, says = SPOILED[name]
    spoil(copied)
    with pytest.raises(CMEError, match=says) as caught:
        cme.from_lm_eval(copied.parent, out=tmp_path / "out", source="mini")
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert not (tmp_path / "out").exists()


def test_another_source_or_place_is_refused(copied, tmp_path):
    for folder, source, says in (
        (copied, "mini:hard", "differs from the row .* source 'mini:hard'"),
        (copied, "nowhere", "Use 'hub', 'mini', an existing folder, or NAME=DIR"),
        (tmp_path / "nothing", "mini", "is not a folder"),
        (tmp_path, "mini", "has no logs of lm-eval"),
    ):
        with pytest.raises(CMEError, match=says):
            cme.from_lm_eval(folder, out=tmp_path / "out", source=source)
    assert not (tmp_path / "out").exists()


def test_a_base_becomes_a_row_of_a_board(copied, tmp_path):
    edit_results(copied, lambda v: v["config"]["model_args"].pop("peft"))
    result = cme.from_lm_eval(copied, out=tmp_path / "x", source="mini", name="base")
    assert result.record.adapter is None
    cme.submit(result, entries=tmp_path / "board" / "entries")
    assert all(verdict.ok for verdict in cme.verify_board(tmp_path / "board"))
    (row,) = cme.load_board(tmp_path / "board").to_frame().itertuples()
    assert row.average == pytest.approx(result.average)
    (shown,) = cme.show_samples(result, "nq_open", n=1)
    assert shown.text is not None and shown.prompt.endswith("Answer:")


def test_without_the_tokenizer_the_number_of_truncated_answers_is_unknown(copied, tmp_path):
    """The model of most backends is a hub id, or on another machine."""
    from typer.testing import CliRunner

    from cme.cli.main import app

    edit_results(copied, lambda v: v["config"].update(model_args={"pretrained": "some/model"}))
    words = ["import-lm-eval", str(copied), "--source", "mini", "--out", str(tmp_path / "x"), "--name", "base"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    said = " ".join(done.stderr.split())
    assert (
        "It is unknown how many answers of nq_open were truncated at the token limit, because the tokenizer of" in said
    )
    assert "It is unknown how many prompts were longer than the context of some/model" in said
    assert "truncated unknown" in done.stdout
    result = cme.load_result(tmp_path / "x")
    counts = {item.dataset: item.diagnostics.get("truncated") for item in result.record.scores.datasets}
    assert counts == {"qqp": 0, "race": 0, "nq_open": None}
    assert {item.diagnostics.get("cut") for item in result.record.scores.datasets} == {None}
    of_texts = [row["truncated"] for row in read_samples(tmp_path / "x/samples.parquet") if not row["options"]]
    assert None in of_texts and True not in of_texts
    cme.submit(result, entries=tmp_path / "board" / "entries")
    assert all(verdict.ok for verdict in cme.verify_board(tmp_path / "board"))


def test_several_models_in_one_folder(copied, tmp_path):
    shutil.copytree(copied, copied.parent / "other")
    with pytest.raises(CMEError, match=r"logs of several models \(model, other\). Give the folder of one"):
        cme.from_lm_eval(copied.parent, out=tmp_path / "out", source="mini")
    assert cme.from_lm_eval(copied, source="mini").record.tier == "smoke"


def test_of_several_runs_the_newest_counts(copied):
    """An older run of one task in the same folder, with a damaged log, has no effect."""
    log, results = one(copied, "samples_cme_qqp*"), one(copied, "results_*")
    date = results.name.removeprefix("results_").removesuffix(".json")
    older = "2020-01-01T00-00-00.000000"
    (copied / log.name.replace(date, older)).write_text("{}\n")
    before = copied / results.name.replace(date, older)
    shutil.copy(results, before)
    assert len(cme.from_lm_eval(copied, source="mini").scores.datasets) == 3
    # lm-eval writes a run with lora_local_path into the folder of the base.
    values = json.loads(results.read_text())
    values["config"]["model_args"]["lora_local_path"] = "some/adapter"
    before.write_text(json.dumps(values))
    with pytest.raises(
        CMEError, match=r"has runs of cme_qqp with different models \(results_2020.* differ in model_args"
    ):
        cme.from_lm_eval(copied, source="mini")


def test_a_run_with_lora_local_path_is_named_by_its_adapter(copied):
    edit_results(
        copied, lambda v: v["config"]["model_args"].update(lora_local_path=v["config"]["model_args"].pop("peft"))
    )
    assert cme.from_lm_eval(copied, source="mini").name == "lora"


def test_an_adapter_that_was_trained_again_does_not_inherit_the_scores(copied, adapter):
    before = cme.from_lm_eval(copied, source="mini").record.adapter
    edit_results(copied, lambda values: values.update(date=adapter.stat().st_mtime - 1000))
    with pytest.warns(CMEWarning, match="is newer than lm-eval's run, so the run may have evaluated other weights"):
        after = cme.from_lm_eval(copied, source="mini").record.adapter
    assert (after.path, after.method) == (before.path, before.method) and after.fingerprint != before.fingerprint


def test_prompts_that_lm_eval_cut_are_counted(copied, tiny_base):
    result = cme.from_lm_eval(copied, source="mini")
    assert {item.diagnostics["cut"] for item in result.scores.datasets} == {0}
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    lengths = {
        item.id: max(len(tokenizer.encode(item.prompt + option)) for option in item.options)
        for item in cme.show_samples(result, "race", n=8)
    }
    # The last token of an option is not read.
    most = sorted(lengths.values())[5]
    edit_results(copied, lambda values: values["config"]["model_args"].update(max_length=most - 1))
    with pytest.warns(
        CMEWarning, match=f"race: 2 of 8 prompts were longer than the model's context of {most - 1} tokens"
    ):
        result = cme.from_lm_eval(copied, source="mini")
    assert {item.dataset: item.diagnostics["cut"] for item in result.scores.datasets} == {
        "qqp": 0,
        "nq_open": 0,
        "race": 2,
    }
    for item in cme.show_samples(result, "race", n=8):
        assert ("cut" in item.marks) == (lengths[item.id] > most)
    # An answer of nq_open has room for its tokens.
    edit_results(
        copied,
        lambda values: values["config"]["model_args"].update(max_length=dataset("nq_open").max_gen_toks + 1),
    )
    with pytest.warns(CMEWarning, match="nq_open: 8 of 8 prompts"):
        cme.from_lm_eval(copied, source="mini")


@pytest.mark.parametrize(
    ("changed", "tier"),
    [
        (lambda values: values["config"].update(limit=None), "full"),
        (lambda values: None, "smoke"),
        (lambda values: values["configs"]["cme_qqp"]["metadata"].update(cme_tier="quick"), "quick"),
    ],
)
def test_logs_of_all_rows_without_a_limit_are_those_of_the_full_tier(copied, monkeypatch, changed, tier):
    """A dataset that has no more rows than a tier has the same rows in all larger ones."""
    from cme.evaluation import lm_eval_import

    load = lm_eval_import.loader.load

    def few(**options):
        splits = load(**options)
        splits["eval"] = splits["eval"].select(range(8))
        return splits

    monkeypatch.setattr(lm_eval_import.loader, "load", few)
    one(copied, "samples_cme_race*").unlink()
    edit_results(copied, changed)
    if tier == "quick":
        one(copied, "samples_cme_nq_open*").unlink()
    assert cme.from_lm_eval(copied, source="mini").record.tier == tier


def test_tasks_with_different_limits_have_the_smallest_tier_that_fits_them(copied):
    log, results = one(copied, "samples_cme_race*"), one(copied, "results_*")
    date = results.name.removeprefix("results_").removesuffix(".json")
    values = json.loads(results.read_text())
    later = "2090-01-01T00-00-00.000000"
    (copied / results.name.replace(date, later)).write_text(
        json.dumps(values | {"config": values["config"] | {"limit": None}})
    )
    log.rename(copied / log.name.replace(date, later))
    assert cme.from_lm_eval(copied, source="mini").record.tier == "smoke"


def test_a_huge_line_is_refused_before_it_is_read_whole(copied, tmp_path, monkeypatch):
    monkeypatch.setattr("cme.evaluation.lm_eval_logs._MOST_LINE_BYTES", 100)
    with pytest.raises(CMEError, match="at most 200,000 lines of 100 bytes are allowed"):
        cme.from_lm_eval(copied, out=tmp_path / "out", source="mini")
    monkeypatch.setattr("cme.evaluation.lm_eval_logs._MOST_RESULT_BYTES", 100)
    with pytest.raises(CMEError, match="bytes; at most 100 are allowed"):
        cme.from_lm_eval(copied, out=tmp_path / "out", source="mini")
