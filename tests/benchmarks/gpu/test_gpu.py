"""The script for one GPU and its report: what it refuses, and how measurements become one record and one page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.report import adapter_rows, combine, evaluation_rows, markdown
from cme.errors import CMEError

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "benchmarks/gpu.sh"
PLACE = {
    "hardware": "A Fast GPU", "device": "cuda", "device_bytes": 80 << 30, "cpus": 16, "dtype": "bfloat16", "base": "7b",
    "base_parameters": 7_000, "weights": "random", "attention": "sdpa", "versions": {"torch": "2.13.0", "cuda": "13.0"},
}  # fmt: skip


def run(*arguments, **environment):
    return subprocess.run(
        ["bash", str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def adapters(mode, batch=8):
    def case(name, seconds, peak):
        cost = {
            "mode": mode,
            "seconds": {"median": seconds},
            "tokens_per_second": 4096 / seconds,
            "peak_bytes": peak << 30,
        }
        return {"name": name, "modes": [cost]}

    ratio = {"mode": mode, "case": "moelora k4", "reference": "lora", "quartiles": {"median": 1.25}, "interval": None}
    return {
        "surroundings": PLACE,
        "settings": {"batch": batch, "train_length": 512, "infer_length": 256, "rounds": 10, "total_rank": 32},
        "cases": [case("lora", 0.5, 30), case("moelora k4", 0.625, 40)],
        "ratios": [ratio | {"reference": "base"}, ratio],
    }


EVALUATION = {
    "surroundings": PLACE,
    "datasets": [{"dataset": "qqp", "used": "prefix"}, {"dataset": "race", "used": "hf: another result"}],
    "totals": [
        {"name": "options", "rows": 120, "ratio": 2.0, "stock": {"seconds": [6.0]}, "engine": {"seconds": [3.0]}},
    ],
    "memory": [{"side": "lm-eval", "peak_bytes": 20 << 30}, {"side": "cme", "peak_bytes": 15 << 30}],
}


@pytest.fixture
def folder(tmp_path):
    """A measurement whose training did not fit at first, and whose decode took too long."""
    reports = {
        "adapters-train-batch-4": adapters("train", 4),
        "adapters-prefill": adapters("prefill"),
        "evaluation-7b": EVALUATION,
    }
    for name, report in reports.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    steps = [
        ("adapters-train", 1, 20), ("adapters-train-batch-4", 0, 80), ("adapters-prefill", 0, 60), ("adapters-decode", 124, 75),
        ("evaluation-7b", 0, 50), ("evaluation-smollm2", "skipped", 0),
    ]  # fmt: skip
    lines = [f"{name}\t{code}\t{seconds}\tcme x" for name, code, seconds in steps]
    (tmp_path / "steps.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_record_names_the_hardware_and_what_is_missing(folder):
    measured = combine(folder)
    assert (measured["hardware"], measured["device_bytes"]) == ("A Fast GPU", 80 << 30)
    assert measured["incomplete"] is True and measured["adapters"]["decode"] is None
    assert measured["adapters"]["train"]["settings"]["batch"] == 4
    assert [step["code"] for step in measured["steps"]] == [1, 0, 0, 124, 0, None]


def test_the_page_has_the_numbers(folder):
    measured = combine(folder)
    columns, rows = adapter_rows(measured["adapters"])
    assert columns[:5] == ["case", "train ms", "train / LoRA", "train tokens/s", "train peak GiB"]
    assert rows == [
        ["lora", "500.00", "–", "8,192", "30.00", "500.00", "–", "8,192", "30.00"],
        ["moelora k4", "625.00", "1.250", "6,554", "40.00", "625.00", "1.250", "6,554", "40.00"],
    ]
    _, rows = evaluation_rows(measured["evaluations"])
    assert rows == [["7b", "options", "120", "6.00", "3.00", "2.00", "20.0", "40.0", "20.00 → 15.00"]]
    page = markdown(measured)
    assert page.startswith("# A Fast GPU (80 GiB)\n\nbfloat16, torch 2.13.0, cuda 13.0.")
    assert "- train: 4 rows of 512 tokens, 10 rounds" in page and "- prefill: 8 rows of 256 tokens" in page
    assert "- adapters-train: exit code 1, see its log." in page
    assert "- adapters-decode: the time was over." in page
    assert "- 7b, race: CME used lm-eval's own code (hf: another result)." in page and "qqp: CME used" not in page
    assert "- evaluation-smollm2: skipped, because the time was over." in page


def test_a_folder_without_measurements_is_refused(tmp_path):
    with pytest.raises(CMEError, match=r"has no steps\.tsv"):
        combine(tmp_path)
    (tmp_path / "steps.tsv").write_text("adapters-train\t1\t3\tcme x\n")
    with pytest.raises(CMEError, match="has no finished measurement"):
        combine(tmp_path)


def test_what_the_script_refuses(tmp_path):
    done = run()
    assert done.returncode == 2 and "usage: benchmarks/gpu.sh OUT" in done.stderr
    (tmp_path / "gpu.json").write_text("{}")
    done = run(tmp_path)
    assert done.returncode == 2 and "has a finished measurement. Give another folder" in done.stderr
    done = run(tmp_path / "x", PYTHON="/bin/false")
    assert done.returncode == 1 and "cannot import torch. Set PYTHON" in done.stderr


def test_without_a_gpu_it_says_how_to_try_it(tmp_path):
    done = run(tmp_path / "out", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1 and "PyTorch has no usable GPU. TINY=1 tries the script" in done.stderr


@pytest.mark.long
def test_tiny_shapes_are_measured_completely(tmp_path):
    done = run(tmp_path / "out", TINY="1", LIMIT="1500", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "out/gpu.json").read_text())
    assert measured["incomplete"] is False and measured["device"] == "cpu"
    assert [case["name"] for case in measured["adapters"]["train"]["cases"]][:3] == ["base", "lora", "moelora k4"]
    assert measured["evaluations"]["evaluation-7b"]["totals"]
