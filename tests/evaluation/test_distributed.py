"""Processes under torchrun share the batches and give the result of a single process."""

import pytest

from tests.evaluation.runs import DATASETS, assert_close, batches, command, result, save_adapter, start

PROGRAM = """
import os, sys
import cme.evaluation.engine.lm as lm
from cme.cli.main import main
from cme.errors import NotFiniteError
def fail(*args):
    raise NotFiniteError("made up for a test")
if os.environ["RANK"] == "1":
    if sys.argv.pop() == "fails":
        lm.score = fail
    else:
        lm.answers_fault = lambda *args: "made up for a test"
else:
    sys.argv.pop()
main()
"""


def torchrun(words, processes):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    run = start([*launch, *words])
    output, error = run.communicate(timeout=180)
    return run.returncode, output, error


@pytest.fixture(scope="module")
def adapter(tiny_base, tmp_path_factory):
    return save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "one", 0.3)


@pytest.fixture(scope="module")
def alone(tiny_base, adapter, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "alone"
    assert start(command(tiny_base, out, "--adapter", str(adapter))).wait(120) == 0
    return out


@pytest.mark.parametrize("processes", [2, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("engine", ["prefix", pytest.param("hf", marks=pytest.mark.long)])
def test_several_processes_give_the_result_of_one(tiny_base, adapter, alone, tmp_path, processes, engine):
    out = tmp_path / "several"
    words = command(tiny_base, out, "--adapter", str(adapter), "--engine", engine)
    code, output, error = torchrun(words, processes)
    assert code == 0, error
    assert output.count("CME average") == 1, "one process prints"
    assert_close(out, alone)
    assert len(list(out.glob("parts/qqp/answers.*.jsonl"))) == processes, "all of them have answered"
    keys = [key for key, _ in batches(out)]
    assert len(keys) == len(set(keys)), "a batch was computed twice"
    code, _, error = torchrun(words, processes)
    assert code != 0 and error.count("finished output") == 1
    assert "exitcode  : 2 " in error, "the first process was the first to end, with the error's exit code"


@pytest.mark.long
@pytest.mark.parametrize("experts", ["keep:1", "top1:renormalise"])
def test_several_processes_mask_the_same_experts(tiny_base, tmp_path, experts):
    team = save_adapter(tiny_base, tmp_path / "team", 0.5, "teamlora")
    one, several, whole = (tmp_path / name for name in ("one", "several", "whole"))
    masked = ("--adapter", str(team), "--experts", experts)
    assert start(command(tiny_base, one, *masked)).wait(120) == 0
    assert start(command(tiny_base, whole, "--adapter", str(team))).wait(120) == 0
    code, _, error = torchrun(command(tiny_base, several, *masked), 2)
    assert code == 0, error
    assert_close(several, one)
    with pytest.raises(AssertionError):
        assert_close(several, whole)


@pytest.mark.long
def test_fewer_batches_than_processes(tiny_base, adapter, alone, tmp_path):
    """Eight rows fit into one batch of the default budget, so two of three processes compute nothing."""
    words = [*command(tiny_base, tmp_path / "out", "--adapter", str(adapter)), "--token-budget", "100000"]
    code, _, error = torchrun(words, 3)
    assert code == 0, error
    assert len(batches(tmp_path / "out")) == len(DATASETS)
    assert_close(tmp_path / "out", alone)


def test_an_error_in_one_process_ends_all_with_its_message(tiny_base, adapter, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    words = [
        str(tmp_path / "program.py"),
        *command(tiny_base, tmp_path / "out", "--adapter", str(adapter))[2:],
        "fails",
    ]
    code, _, error = torchrun(words, 2)
    assert code != 0 and error.count("cme: qqp: made up for a test") == 1, "the first process tells it"
    assert "/cme/evaluate/" not in error, "a traceback of ours"


@pytest.mark.long
def test_a_verdict_of_one_process_holds_for_all(tiny_base, adapter, alone, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    words = [
        str(tmp_path / "program.py"),
        *command(tiny_base, tmp_path / "out", "--adapter", str(adapter))[2:],
        "warns",
    ]
    code, _, error = torchrun(words, 2)
    assert code == 0, error
    assert_close(tmp_path / "out", alone)
    assert "hf: made up for a test" in result(tmp_path / "out")["engines"].values()


@pytest.mark.long
def test_several_processes_choose_the_rows_of_one(tiny_base, tmp_path):
    words = [
        "--base",
        str(tiny_base),
        "--source",
        "mini",
        "--datasets",
        "qqp,rte",
        "--tier",
        "standard",
        "--threads",
        "1",
    ]
    run = ["-m", "cme", "eval", *words, "--until", "8", "--out"]
    assert start([*run, str(tmp_path / "alone")]).wait(120) == 0
    code, output, error = torchrun([*run, str(tmp_path / "several")], 2)
    assert code == 0, error
    assert output.count("95 % interval") == 1, "one process prints"
    assert_close(tmp_path / "several", tmp_path / "alone")
    assert result(tmp_path / "several")["rows"] == result(tmp_path / "alone")["rows"]
    assert len(list((tmp_path / "several").glob("parts/qqp/0-64/answers.*.jsonl"))) == 2
