"""Two processes under torchrun give the same adapter as one process with the same examples per step."""

import subprocess
import sys

import pytest

from cme.adapters import AdapterSettings
from cme.records import Run, read_record
from cme.training import recipe_text, train

PROGRAM = """
import os, sys
from pathlib import Path
from cme.errors import CMEError
from cme.training import load_recipe, train
from cme.training.callbacks import LossGuard
if len(sys.argv) > 3:  # the user presses Ctrl-C after a step
    def stop(self, args, state, control, **kwargs):
        if state.global_step == int(sys.argv[3]):
            raise KeyboardInterrupt
    LossGuard.on_step_begin = stop
try:
    run = train(*load_recipe(sys.argv[1]), out=Path(sys.argv[2]))
except CMEError as error:
    sys.exit(f"rank {os.environ['RANK']}: {error}")
assert run.world_size == 2
"""


def torchrun(tmp_path, settings, adapter, out, *more):
    (tmp_path / "recipe.yaml").write_text(recipe_text(settings, adapter))
    (tmp_path / "program.py").write_text(PROGRAM)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, str(tmp_path / "program.py"), str(tmp_path / "recipe.yaml"), str(out), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


SLOW = ("lora", "adalora", "full", "moslora", "moelora", "hydralora", "mola", "adamole", "comol", "smora", "flylora")


@pytest.mark.parametrize("method", ["teamlora", *(pytest.param(name, marks=pytest.mark.long) for name in SLOW)])
def test_two_processes_equal_one(settings, tmp_path, method):
    adapter = AdapterSettings(method, rank=4, alpha=8.0)
    given = settings(steps=12, batch_size=2, gradient_accumulation=2, save_every=5)
    done = torchrun(tmp_path, given, adapter, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "arning" not in done.stderr, done.stderr
    two = read_record(tmp_path / "two" / "run.json", Run)
    one = train(settings(steps=12, batch_size=8), adapter, out=tmp_path / "one")
    assert (two.world_size, two.examples, two.tokens) == (2, one.examples, one.tokens)
    assert [loss for _, loss in two.losses] == pytest.approx([loss for _, loss in one.losses], rel=1e-4)
    assert two.validation_loss == pytest.approx(one.validation_loss, rel=1e-4)
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == sorted(p.name for p in (tmp_path / "one").iterdir())

    again = torchrun(tmp_path, given, adapter, tmp_path / "two")
    assert again.returncode != 0 and "has the finished output" in again.stderr


@pytest.mark.long
def test_two_processes_go_on_after_an_interruption(settings, tmp_path):
    adapter = AdapterSettings("teamlora", rank=2, alpha=4.0, dropout=0.1)
    given = settings(steps=12, batch_size=2, save_every=5)
    assert torchrun(tmp_path, given, adapter, tmp_path / "run", "8").returncode != 0
    for name in ("run", "whole"):
        done = torchrun(tmp_path, given, adapter, tmp_path / name)
        assert done.returncode == 0, done.stderr
    run, whole = (read_record(tmp_path / name / "run.json", Run) for name in ("run", "whole"))
    assert run.interruptions == 1 and run.losses == whole.losses
    assert run.adapter_fingerprint == whole.adapter_fingerprint
