"""The folder of a measurement of costs belongs to one command at a time."""

import subprocess
import sys

import pytest

import cme
from cme.errors import UsageError
from cme.locks import LOCK_FILE

HOLD = """
import sys, pathlib
from cme.locks import locked
locked(pathlib.Path(sys.argv[1]), "bench adapters")
print("held", flush=True)
input()
"""


def measure(base, out):
    return cme.bench_adapters(
        base=str(base),
        methods="base,lora",
        modes="train",
        rounds=2,
        warmup=0,
        batch=1,
        train_length=16,
        total_rank=2,
        out=out,
    )


def test_a_second_measurement_in_a_folder_is_refused(tmp_path, tiny_base):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=r"is in use by 'cme bench adapters' \(process"):
            measure(tiny_base, tmp_path)
        other.communicate("\n")
    measure(tiny_base, tmp_path)
    assert (tmp_path / "report.json").is_file() and not (tmp_path / LOCK_FILE).exists()


def test_a_file_is_no_folder(tmp_path, tiny_base):
    (tmp_path / "costs").write_text("")
    with pytest.raises(UsageError, match="costs is a file"):
        measure(tiny_base, tmp_path / "costs")
