"""Real boards in subprocesses, for tests that kill parts of them and compare what is left with an undisturbed run."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

BOARD = """
name: disturbed
out: {root}/out
work: {root}/work
base: {base}
source: mini
tier: smoke
datasets: [rte]
mix: {{size: 150, datasets: [rte]}}
methods:
  lora: {{settings: {{rank: 4}}}}
training: {{steps: {steps}, batch_size: 4, dtype: float32, max_length: 256, save_every: 5}}
rates: {rates}
grid: {{widen: 0}}
seeds: {seeds}
references: [majority]
"""


def write(root, base, *, steps=60, rates="[]", seeds="[0]"):
    """Write a board with one method that trains in a few seconds; return its file."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "board.yaml"
    path.write_text(BOARD.format(root=root, base=base, steps=steps, rates=rates, seeds=seeds))
    return path


def start(path, *options, **popen):
    """Start ``cme board run``."""
    command = [sys.executable, "-m", "cme", "board", "run", str(path), "--jobs", "2", *options]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=env, **pipes, **popen)


def finish(path, *options, **popen):
    """Run ``cme board run`` to its end; return the exit code and the messages."""
    process = start(path, *options, **popen)
    errors = process.communicate(timeout=1500)[1]
    return process.returncode, errors


def wait_for(condition, what, seconds=600):
    """Wait until a condition holds, and return what it gives."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


def trainer(root, run="runs/lora-0"):
    """Wait until a run has a complete checkpoint and is not finished; return the id of its process."""
    folder = root / "work" / run

    def training():
        if (folder / "run.json").exists():
            raise AssertionError("the run was finished before it could be disturbed")
        return list(folder.glob("checkpoints/*/.complete.json"))

    wait_for(training, f"a checkpoint of {run}")
    return holder(folder)


def holder(folder):
    """Return the process that holds a folder."""
    return json.loads((folder / ".cme.lock").read_text())["pid"]


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def is_gone(pid):
    """Return whether a process has ended. A zombie has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


def results(root):
    """Return hashes of everything that must not depend on disturbances: adapters, samples, and the scores of the entries."""
    hashes = {}
    for pattern in ("work/**/adapter_model.safetensors", "work/**/samples.parquet", "work/mix/train/*.parquet"):
        for path in root.glob(pattern):
            if "checkpoints" not in path.parts:
                hashes[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in (root / "out" / "entries").glob("*.json"):
        entry = json.loads(path.read_text())
        hashes[path.name] = json.dumps([entry["scores"], entry["items"], entry["recipe"], entry["lr_grid"]])
    return hashes
