"""An evaluation that is killed and resumed gives bitwise identical results and computes no batch twice."""

import json
import random
import signal
import time

import pytest

from cme.errors import UsageError
from cme.evaluation.run import evaluate
from cme.evaluation.settings import EvalSettings
from tests.evaluation.runs import assert_same, batches, command, responses, save_adapter, start


@pytest.fixture(scope="module")
def adapter(tiny_base, tmp_path_factory):
    return save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "one", 0.3)


@pytest.fixture(scope="module")
def undisturbed(tiny_base, adapter, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "undisturbed"
    run = start(command(tiny_base, out, "--adapter", str(adapter)))
    output = run.communicate(timeout=120)
    assert run.returncode == 0, output
    return out


def killed(words, out, enough):
    """Start an evaluation and kill it a few milliseconds after this number of batches is stored."""
    run = start(words)
    end = time.monotonic() + 100
    while sum(file.read_bytes().count(b"\n") for file in out.glob("parts/*/answers.*.jsonl")) < enough:
        assert run.poll() is None and time.monotonic() < end, run.communicate()
        time.sleep(0.0005)
    time.sleep(random.uniform(0, 0.01))
    run.send_signal(signal.SIGKILL)
    run.communicate()
    return run.returncode


@pytest.mark.parametrize("engine", ["prefix", pytest.param("hf", marks=pytest.mark.long)])
@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.long)])
def test_kill_9(tiny_base, adapter, undisturbed, tmp_path, kills, engine):
    out, words = tmp_path / "killed", ("--adapter", str(adapter), "--engine", engine)
    whole = undisturbed
    if engine == "hf":
        whole = tmp_path / "whole"
        assert start(command(tiny_base, whole, *words)).wait(120) == 0
    total = len(batches(whole))
    assert total > kills + 2, "too few batches to be killed in between"
    at = sorted(random.sample(range(1, total), kills))
    for enough in at:
        assert killed(command(tiny_base, out, *words), out, enough) == -signal.SIGKILL
        assert not (out / "result.json").exists()
    run = start(command(tiny_base, out, *words))
    output = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert_same(out, whole)
    assert sorted(batches(out)) == sorted(batches(whole)), "a batch was computed twice"
    answers = sum(len(row["logprobs"] or [0]) for row in responses(out))
    assert sum(count for _, count in batches(out)) == answers


def settings(base, adapter, **changes):
    values = {"base": str(base), "tier": "smoke", "source": "mini", "datasets": ("qqp", "nq_open"), "threads": 1}
    return EvalSettings(adapter=str(adapter), **{**values, **changes})


def reopen(out):
    """Make a finished folder unfinished."""
    marker = json.loads((out / ".cme.json").read_text())
    (out / ".cme.json").write_text(json.dumps({**marker, "finished": False}))
    for name in ("result.json", "samples.parquet", "responses.parquet"):
        (out / name).unlink()


def test_answers_of_another_adapter_are_not_taken_even_if_the_folder_says_so(tiny_base, adapter, tmp_path):
    """The marker of the folder names the second adapter, but the stored answers belong to the first."""
    two = save_adapter(tiny_base, tmp_path / "two", 0.5)
    out, clean = tmp_path / "out", tmp_path / "clean"
    evaluate(settings(tiny_base, two), clean)
    evaluate(settings(tiny_base, adapter), out)
    assert responses(out) != responses(clean)
    reopen(out)
    with pytest.raises(UsageError, match="other settings"):
        evaluate(settings(tiny_base, two), out)
    forged = json.loads((clean / ".cme.json").read_text())
    (out / ".cme.json").write_text(json.dumps({**forged, "finished": False}))
    evaluate(settings(tiny_base, two), out)
    assert_same(out, clean)


def test_other_threads_are_another_evaluation(tiny_base, adapter, tmp_path):
    evaluate(settings(tiny_base, adapter), tmp_path / "out")
    reopen(tmp_path / "out")
    with pytest.raises(UsageError, match="threads: 1 there, 2 now"):
        evaluate(settings(tiny_base, adapter, threads=2), tmp_path / "out")


def test_the_self_checks_verdict_is_kept(tiny_base, adapter, tmp_path, monkeypatch):
    """A resumed run does not check again, because it would compute other batches first and could get another verdict."""
    from cme.evaluation.engine import lm

    checked = []
    monkeypatch.setattr(lm, "answers_fault", lambda *given: checked.append(given) or "made up for a test")
    wanted, out = settings(tiny_base, adapter, datasets=("qqp", "arc")), tmp_path / "out"
    first = evaluate(wanted, out)
    assert len(checked) == 1 and set(first.engines.values()) == {"hf: made up for a test"}
    reopen(out)
    for file in ("done.json", "answers.0.jsonl"):
        (out / "parts" / "arc" / file).unlink()
    again = evaluate(wanted, out)
    assert len(checked) == 1 and again.engines == first.engines
    assert again.scores == first.scores
