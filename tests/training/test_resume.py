"""A run that was interrupted in any way is resumed and gives the adapter of an uninterrupted run."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from cme.adapters import AdapterSettings, adapter_fingerprint
from cme.errors import UsageError
from cme.records import Run, read_record
from cme.training import load_recipe, recipe_text, train
from cme.training.checkpoints import FOLDER, MARKER
from cme.workdir import is_finished

ADAPTERS = {
    # Dropout draws random numbers in every step, so their state must come back too.
    "lora": AdapterSettings("lora", rank=4, alpha=8.0, dropout=0.1),
    "teamlora": AdapterSettings("teamlora", rank=2, alpha=4.0, dropout=0.1),
}

PROGRAM = """
import sys
from pathlib import Path
from cme.training import load_recipe, train
train(*load_recipe(sys.argv[1]), out=Path(sys.argv[2]))
"""


def start(tmp_path, settings, adapter, out):
    """Start a run in its own process."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe_text(settings, adapter))
    command = [sys.executable, "-c", PROGRAM, str(recipe), str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_checkpoint(process, out, seconds=120):
    end = time.monotonic() + seconds
    while not list(out.glob(f"{FOLDER}/checkpoint-*/{MARKER}")):
        assert process.poll() is None and time.monotonic() < end, process.communicate()[0]
        time.sleep(0.01)


def interrupted(monkeypatch, settings, adapter, out, *, step):
    """Train until the user presses Ctrl-C after a step."""
    from cme.training.callbacks import BarMover

    def stop(self, args, state, control, **kwargs):
        if state.global_step == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BarMover, "on_step_end", stop)
        with pytest.raises(KeyboardInterrupt):
            train(settings, adapter, out=out)


@pytest.mark.parametrize("method", [pytest.param("lora", marks=pytest.mark.long), "teamlora"])
def test_a_killed_run_ends_with_the_same_adapter(settings, tmp_path, method):
    given, adapter, out = settings(steps=160, logging_steps=7), ADAPTERS[method], tmp_path / "run"
    process = start(tmp_path, given, adapter, out)
    wait_for_checkpoint(process, out)
    os.kill(process.pid, signal.SIGKILL)
    assert process.communicate()[0] == "" and process.returncode == -signal.SIGKILL
    assert not (out / "run.json").exists() and not is_finished(out)

    run = train(given, adapter, out=out)
    whole = train(given, adapter, out=tmp_path / "whole")
    assert run.adapter_fingerprint == whole.adapter_fingerprint == adapter_fingerprint(out)
    assert run.interruptions == 1 and whole.interruptions == 0
    assert (run.steps, run.examples, run.tokens) == (whole.steps, whole.examples, whole.tokens)
    assert run.losses == whole.losses
    assert run.validation_loss == whole.validation_loss
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())


def test_ctrl_c_leaves_a_run_that_goes_on(settings, tmp_path, monkeypatch):
    given, adapter, out = settings(steps=40), ADAPTERS["lora"], tmp_path / "run"
    interrupted(monkeypatch, given, adapter, out, step=3)  # before the first checkpoint: from the start
    interrupted(monkeypatch, given, adapter, out, step=17)
    interrupted(monkeypatch, given, adapter, out, step=33)  # in the second epoch
    marker = json.loads((out / FOLDER / "checkpoint-30" / MARKER).read_text())
    assert [path.name for path in (out / FOLDER).iterdir()] == ["checkpoint-30"]
    assert marker["spent"]["step"] == 30 and marker["spent"]["interruptions"] == 1
    run = train(given, adapter, out=out)
    whole = train(given, adapter, out=tmp_path / "whole")
    assert run.adapter_fingerprint == whole.adapter_fingerprint
    assert run.interruptions == 2 and run.wall_seconds > marker["spent"]["wall_seconds"]
    assert run.started == marker["spent"]["started"] and run.losses == whole.losses


@pytest.mark.parametrize("damage", ["optimizer gone", "rng gone", "cut short", "unmarked", "marker damaged"])
def test_a_checkpoint_that_is_not_whole_is_not_used(settings, tmp_path, monkeypatch, damage):
    given, adapter, out = settings(steps=12, keep_checkpoints=True), ADAPTERS["lora"], tmp_path / "run"
    interrupted(monkeypatch, given, adapter, out, step=11)
    bad = out / FOLDER / "checkpoint-10"
    assert (bad / MARKER).is_file()
    if damage == "optimizer gone":
        (bad / "optimizer.pt").unlink()
    elif damage == "rng gone":
        (bad / "rng_state.pth").unlink()
    elif damage == "cut short":
        file = bad / "adapter_model.safetensors"
        file.write_bytes(file.read_bytes()[:-10])
    elif damage == "unmarked":
        (bad / MARKER).unlink()
    else:
        (bad / MARKER).write_text('{"files": 3}')
    seen = []
    from transformers import Trainer

    def spy(self, folder):
        seen.append(folder)
        return original(self, folder)

    original = Trainer._load_optimizer_and_scheduler
    monkeypatch.setattr(Trainer, "_load_optimizer_and_scheduler", spy)
    run = train(given, adapter, out=out)
    assert seen == [str(out / FOLDER / "checkpoint-5")]
    monkeypatch.undo()
    assert run.adapter_fingerprint == train(given, adapter, out=tmp_path / "whole").adapter_fingerprint
    assert sorted(path.name for path in (out / FOLDER).iterdir()) == ["checkpoint-10", "checkpoint-12", "checkpoint-5"]


def test_other_settings_do_not_continue_a_run(settings, tmp_path, monkeypatch):
    out = tmp_path / "run"
    interrupted(monkeypatch, settings(), ADAPTERS["lora"], out, step=7)
    with pytest.raises(UsageError, match=r"learning_rate: 0\.01 there, 0\.02 now"):
        train(settings(learning_rate=0.02), ADAPTERS["lora"], out=out)
    with pytest.raises(UsageError, match=r"alpha: 8\.0 there, 4\.0 now"):
        train(settings(), ADAPTERS["teamlora"], out=out)
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)
    run = train(settings(threads=2), ADAPTERS["lora"], out=out)  # threads decide speed only
    assert run.interruptions == 1
    with pytest.raises(UsageError, match="finished"):
        train(settings(), ADAPTERS["lora"], out=out)


def test_a_run_killed_while_tidying_up_only_tidies_up(settings, tmp_path):
    out = tmp_path / "run"
    train(settings(), ADAPTERS["lora"], out=out)
    marker = json.loads((out / ".cme.json").read_text())
    (out / ".cme.json").write_text(json.dumps(marker | {"finished": False}))
    (out / FOLDER / "checkpoint-12").mkdir(parents=True)
    before = (out / "run.json").read_bytes()
    assert train(settings(), ADAPTERS["lora"], out=out) == read_record(out / "run.json", Run)
    assert (out / "run.json").read_bytes() == before and is_finished(out) and not (out / FOLDER).exists()


def test_a_kept_run_can_be_repeated_from_its_own_configuration(settings, tmp_path):
    run = train(settings(), ADAPTERS["teamlora"], out=tmp_path / "run")
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["adapter"]["method"] == "teamlora"
    again = train(*load_recipe(tmp_path / "run" / "config.yaml"), out=tmp_path / "again")
    assert again.adapter_fingerprint == run.adapter_fingerprint


@pytest.mark.long
def test_a_run_killed_again_and_again_ends_with_the_same_adapter(settings, tmp_path):
    given, adapter, out = settings(steps=900, save_every=20), ADAPTERS["teamlora"], tmp_path / "run"
    kills = 0
    for extra in (0.0, 0.2, 0.4, 0.1, 0.5):
        before = {path.name for path in out.glob(f"{FOLDER}/*")}
        process = start(tmp_path, given, adapter, out)
        end = time.monotonic() + 120
        while {path.parent.name for path in out.glob(f"{FOLDER}/*/{MARKER}")} <= before and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(extra)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
    assert kills >= 3
    run = read_record(out / "run.json", Run) if is_finished(out) else train(given, adapter, out=out)
    assert run.adapter_fingerprint == train(given, adapter, out=tmp_path / "whole").adapter_fingerprint
    assert run.interruptions >= 3
