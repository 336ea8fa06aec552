"""Starts evaluations in separate processes and reads their results."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cme.evaluation import baseline
from cme.evaluation.store import Lines

DATASETS = ("qqp", "arc", "rte", "nq_open")
TIMED = ("seconds", "tokens", "tokens_per_second", "finished")
"""Fields of a result that differ between runs: times, and the tokens that each start computes again."""


def save_adapter(base: Path, folder: Path, fill: float, kind: str = "lora") -> Path:
    """Save an adapter with random weights of this standard deviation."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config(kind))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=fill)
    model.save_pretrained(folder)
    return folder


@contextmanager
def stopped_after_a_dataset() -> Iterator[None]:
    """Run a baseline that is interrupted when it writes the samples of its second dataset."""
    write, calls = baseline.write_samples, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) > 1:
            raise KeyboardInterrupt
        write(*args)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(baseline, "write_samples", interrupted)
        yield


def config(kind: str):
    """Make the configuration of a PEFT method."""
    import peft

    import cme.adapters.teamlora as team

    common = {"task_type": "CAUSAL_LM"}
    return {
        "lora": lambda: peft.LoraConfig(r=2, target_modules=["up_proj"], **common),
        "pissa": lambda: peft.LoraConfig(r=2, target_modules=["up_proj"], init_lora_weights="pissa", **common),
        "dora": lambda: peft.LoraConfig(r=2, target_modules=["up_proj"], use_dora=True, **common),
        "ia3": lambda: peft.IA3Config(target_modules=["up_proj"], feedforward_modules=["up_proj"], **common),
        "head": lambda: peft.LoraConfig(r=2, target_modules=["up_proj"], modules_to_save=["norm"], **common),
        "prefix": lambda: peft.PrefixTuningConfig(num_virtual_tokens=3, **common),
        "teamlora": lambda: team.TeamLoraConfig(r=4, target_modules=["up_proj"], **common),
    }[kind]()


def command(base: Path, out: Path, *more: str) -> list[str]:
    """Return a ``cme eval`` command for the tiny base and the mini corpus with small batches."""
    fixed = [
        "--base",
        str(base),
        "--tier",
        "smoke",
        "--source",
        "mini",
        "--threads",
        "1",
        "--batch-size",
        "2",
    ]
    if "hf" not in more:  # only the prefix engine has a token budget
        fixed += ["--token-budget", "200"]
    words = ["--datasets", ",".join(DATASETS), "--out", str(out), *more]
    return ["-m", "cme", "eval", *fixed, *words]


def start(words: list[str], **options) -> "subprocess.Popen[str]":
    """Start a command from `command`."""
    return subprocess.Popen(
        [sys.executable, *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def result(out: Path) -> dict:
    """Read ``result.json`` without the fields that differ between runs."""
    return {name: value for name, value in json.loads((out / "result.json").read_text()).items() if name not in TIMED}


def responses(out: Path) -> list[dict]:
    import pyarrow.parquet as pq

    return pq.read_table(out / "responses.parquet").to_pylist()


def batches(out: Path) -> list[tuple[str, int]]:
    """Return the key and the number of answers of every stored batch."""
    files = sorted(out.glob("parts/*/answers.*.jsonl"))
    return [(line["key"], len(line["answers"])) for file in files for line in Lines.read(file)]


def assert_same(out: Path, other: Path) -> None:
    """Check that two results are bitwise identical, except for timing fields."""
    assert result(out) == result(other)
    for name in ("samples.parquet", "responses.parquet"):
        assert (out / name).read_bytes() == (other / name).read_bytes(), name


def assert_close(out: Path, other: Path) -> None:
    """Check that two results have equal decisions and texts, and log-probabilities within 1e-4."""
    theirs = {row["id"]: row for row in responses(other)}
    assert len(theirs) == len(responses(out))
    for row in responses(out):
        assert row["text"] == theirs[row["id"]]["text"]
        assert (row["logprobs"] or []) == pytest.approx(theirs[row["id"]]["logprobs"] or [], abs=1e-4)
    ours, alone = (result(folder)["scores"] for folder in (out, other))
    assert [item["value"] for item in ours["datasets"]] == [item["value"] for item in alone["datasets"]]
    assert ours["average"] == alone["average"]
