"""The engine of this machine: real commands, and what happens if parts of a board are killed."""

import contextlib
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cme
from cme.board.command import Job, StepCommand
from cme.board.pool import LocalPool, visible_gpus
from cme.board.step import Step
from cme.errors import UsageError
from cme.locks import holder_of
from tests.board import disturb
from tests.board.fakes import write_board


def command(tmp_path, *argv, name="step"):
    return StepCommand(
        name, argv, str(tmp_path), str(tmp_path / "logs" / f"{name}.log"), str(tmp_path / "steps" / f"{name}.json"), {}
    )


def ended(job):
    return disturb.wait_for(job.ended, "the end of a command")


def test_a_command_is_logged_and_recorded(tmp_path):
    outcome = ended(Job(command(tmp_path, "tasks-path")))
    assert (outcome.name, outcome.code, outcome.message) == ("step", 0, "")
    log = (tmp_path / "logs" / "step.log").read_text().splitlines()
    assert log[0] == "$ cme tasks-path" and log[1].endswith("tasks")
    record = json.loads((tmp_path / "steps" / "step.json").read_text())
    assert (record["command"], record["code"]) == ("cme tasks-path", 0) and record["hardware"] and record["seconds"] > 0


def test_a_failed_command_gives_its_message(tmp_path):
    outcome = ended(Job(command(tmp_path, "train", "--method", "lorra", "--data", "mix", "--out", "run")))
    assert outcome.code == 2 and not outcome.interrupted
    assert (
        outcome.message.startswith("settings, adapter: unknown method") or "unknown method 'lorra'" in outcome.message
    )
    assert json.loads((tmp_path / "steps" / "step.json").read_text())["code"] == 2


def test_commands_die_with_their_driver(tmp_path):
    """The kernel kills them, even if the driver cannot."""
    code = (
        "import sys, time\nfrom cme.board.command import Job, StepCommand\n"
        "root = sys.argv[1]\n"
        "argv = ('build-data', '--source', 'mini', '--out', root + '/mix')\n"
        "job = Job(StepCommand('s', argv, root, root + '/log', root + '/record', {}))\n"
        "print(job.pid, flush=True)\ntime.sleep(600)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    pid = int(driver.stdout.readline())
    driver.kill()
    driver.communicate()
    disturb.wait_for(lambda: disturb.is_gone(pid), "the end of the command", 60)


def ranks_of(out):
    """Return the processes of ``cme train`` with an output folder, without torchrun itself."""
    pids = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = place.read_bytes().split(b"\0")
            if str(out).encode() in words and b"torch.distributed.run" not in words and b"-c" not in words:
                pids.append(int(place.parent.name))
    return pids


@pytest.mark.long
@pytest.mark.parametrize("how", ["the driver is killed", "the job is killed"])
def test_the_processes_of_a_step_on_several_devices_die_with_it(tmp_path, tiny_base, how):
    """torchrun gives each of its processes a session of its own, which a signal to the group of the step does not reach."""
    cme.build_mix(tmp_path / "mix", source="mini", size=150, datasets="rte", workers=1)
    out = tmp_path / "run"
    argv = [
        "train",
        "--method",
        "lora",
        "--rank",
        "2",
        "--data",
        tmp_path / "mix",
        "--base",
        tiny_base,
        "--steps",
        100_000,
    ]
    code = (
        "import sys, time\nfrom cme.board.command import Job, StepCommand\n"
        "root, argv = sys.argv[1], tuple(sys.argv[2:])\n"
        "job = Job(StepCommand('s', argv, root, root + '/log', root + '/record', {'OMP_NUM_THREADS': '1'}, 2))\n"
        "print(job.pid, flush=True)\nsys.stdin.readline()\njob.kill()\ntime.sleep(600)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path), *map(str, argv), "--batch-size", "2", "--out", str(out)]
    driver = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pids = disturb.wait_for(lambda: holder_of(out) and ranks_of(out), "the training of two processes")
    assert len(pids) == 2
    if how == "the driver is killed":
        driver.kill()
    else:
        driver.stdin.write("\n")
        driver.stdin.flush()
    disturb.wait_for(lambda: all(map(disturb.is_gone, pids)), "the end of both processes", 60)
    assert holder_of(out) is None, "the folder is free"
    driver.kill()
    driver.communicate()


def test_gpus_are_handed_out_and_returned(tmp_path, monkeypatch):
    started = []

    class Fake:
        def __init__(self, command):
            started.append(command)

        def ended(self):
            return started[-1].name and None

    monkeypatch.setattr("cme.board.pool.Job", Fake)
    pool = LocalPool(None, 1, ["0", "3"])
    one = Step("a", "run", ("train",), tmp_path, gpus=None)
    two = Step("b", "run", ("train",), tmp_path, gpus=2)
    none = Step("c", "entry", ("submit",), tmp_path, gpus=0)
    assert pool.fits(one) and pool.fits(two)
    pool.start(one, command(tmp_path, "train", name="a"))
    assert started[0].env["CUDA_VISIBLE_DEVICES"] == "0" and not pool.fits(two) and pool.fits(one)
    pool.start(none, command(tmp_path, "submit", name="c"))
    assert started[1].env["CUDA_VISIBLE_DEVICES"] == "" and not pool.fits(none), "two jobs at most, one per GPU"
    with pytest.raises(UsageError, match="needs 3 GPUs, but this machine has 2"):
        pool.check([Step("d", "run", (), tmp_path, gpus=3)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, 2")
    assert visible_gpus() == ["1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_a_part_of_a_board_through_the_command_line_and_in_python(tmp_path, monkeypatch):
    path = write_board(tmp_path)
    code, errors = disturb.finish(path, "--only", "results/majority")
    assert code == 0 and "Board small: 1 step in" in errors and "19 steps of the board are left." in errors, errors
    before = (tmp_path / "work" / "results" / "majority" / "result.json").read_bytes()
    ran = cme.run_board(path, only="entries/majority")
    assert ran.ok and ran.done == ("entries/majority",) and (tmp_path / "out" / "entries" / "majority.json").is_file()
    assert (tmp_path / "work" / "results" / "majority" / "result.json").read_bytes() == before
    status = cme.board_status(path)
    assert {step.name for step in status.steps if step.state == "finished"} == {"results/majority", "entries/majority"}
    assert status.to_frame().set_index("name").loc["results/majority", "seconds"] > 0


def test_a_failing_step_is_one_message_and_exit_code_1(tmp_path):
    path = write_board(tmp_path)
    code, errors = disturb.finish(path, "--only", "results/base")
    assert code == 1 and errors.startswith("cme: results/base: ") and "Traceback" not in errors
    assert "(log: " in errors and (tmp_path / "work" / "logs" / "results" / "base.log").is_file()
    failed = next(step for step in cme.board_status(path).steps if step.name == "results/base")
    assert failed.state == "failed" and failed.detail.startswith("exit code")


def test_an_unknown_engine_and_a_number_of_jobs(tmp_path):
    path = write_board(tmp_path)
    with pytest.raises(UsageError, match=r"unknown engine 'rai'. Did you mean 'ray'\?"):
        cme.run_board(path, engine="rai")
    with pytest.raises(UsageError, match="jobs is 0"):
        cme.run_board(path, jobs=0)
    with pytest.raises(UsageError, match="address is only for the engine ray"):
        cme.run_board(path, address="10.0.0.1:6379")
    assert not (tmp_path / "work").exists()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_base):
    """What a board gives that nobody disturbs."""
    root = tmp_path_factory.mktemp("undisturbed")
    code, errors = disturb.finish(disturb.write(root, tiny_base))
    assert code == 0, errors
    hashes = disturb.results(root)
    assert {"lora.json", "majority.json", "work/runs/lora-0/adapter_model.safetensors"} <= set(hashes)
    return hashes


@pytest.mark.long
def test_a_killed_trainer_is_started_again(tmp_path, tiny_base, undisturbed):
    process = disturb.start(disturb.write(tmp_path, tiny_base))
    disturb.kill(disturb.trainer(tmp_path))
    errors = process.communicate(timeout=1500)[1]
    assert process.returncode == 0, errors
    assert json.loads((tmp_path / "work/runs/lora-0/run.json").read_text())["interruptions"] == 1
    assert disturb.results(tmp_path) == undisturbed


@pytest.mark.long
def test_a_killed_driver_leaves_no_process_and_the_board_goes_on(tmp_path, tiny_base, undisturbed):
    path = disturb.write(tmp_path, tiny_base)
    process = disturb.start(path)
    pid = disturb.trainer(tmp_path)
    process.kill()
    process.communicate()
    disturb.wait_for(lambda: disturb.is_gone(pid), "the end of the trainer", 60)
    code, errors = disturb.finish(path)
    assert code == 0, errors
    assert disturb.results(tmp_path) == undisturbed


@pytest.mark.long
def test_ctrl_c_ends_a_board_cleanly(tmp_path, tiny_base, undisturbed):
    path = disturb.write(tmp_path, tiny_base)
    process = disturb.start(path, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    pid = disturb.trainer(tmp_path)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 130 and "Traceback" not in errors
    assert "interrupted. Finished work is kept. Run the same command again to continue." in errors
    assert disturb.is_gone(pid)
    code, errors = disturb.finish(path)
    assert code == 0, errors
    assert disturb.results(tmp_path) == undisturbed


@pytest.mark.long
def test_a_full_disk_is_one_message_and_nothing_is_lost(tmp_path, tiny_base, undisturbed):
    """Files cannot grow beyond 100 kB, so the checkpoint of the training cannot be written."""
    path = disturb.write(tmp_path, tiny_base)
    limit = 100_000
    code, errors = disturb.finish(
        path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    )
    assert code == 1 and "Traceback" not in errors, errors
    assert any(line.startswith("cme: ") for line in errors.splitlines())
    code, errors = disturb.finish(path)
    assert code == 0, errors
    assert disturb.results(tmp_path) == undisturbed


@pytest.mark.long
def test_two_drivers_share_a_board(tmp_path, tiny_base):
    """Each leaves to the other what the other works on. Nothing fails, and nothing is done twice."""
    path = disturb.write(tmp_path, tiny_base, steps=10, seeds="[0, 1]")
    both = [disturb.start(path), disturb.start(path)]
    for process in both:
        errors = process.communicate(timeout=1500)[1]
        assert process.returncode == 0, errors
    for log in (tmp_path / "work" / "logs").rglob("*.log"):
        assert log.read_text().count("$ cme ") == 1, "no command was started twice"
    for log in (tmp_path / "work" / "logs" / "runs").glob("*.log"):
        assert json.loads((tmp_path / "work" / "runs" / log.stem / "run.json").read_text())["interruptions"] == 0
    assert (tmp_path / "out" / "leaderboard.md").is_file()


@pytest.mark.long
def test_a_whole_board_with_a_grid_and_a_study(tmp_path, tiny_base):
    path = disturb.write(tmp_path, tiny_base, steps=4, rates="[1e-3, 1e-2]", seeds="[0, 1]")
    path.write_text(
        path.read_text().replace("tier: smoke", "tier: quick")
        + "studies: {ranks: {of: lora, vary: {rank: [2, 4]}, seeds: [0]}}\n"
    )
    ran = cme.run_board(path, jobs=2)
    assert ran.ok, ran.failed
    entry = json.loads((tmp_path / "out" / "entries" / "lora.json").read_text())
    assert [run["learning_rate"] for run in entry["lr_grid"]["runs"]] == [1e-3, 1e-2]
    lines = (tmp_path / "out" / "studies" / "ranks" / "study.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["name", "lora-ranks-2", "lora-ranks-4"]
    assert (tmp_path / "out" / "studies" / "ranks" / "study.svg").read_text().startswith("<?xml")
    assert all(verdict.ok for verdict in cme.verify_board(tmp_path / "out"))
    assert cme.run_board(path).done == ()
