"""The wheel, installed where the checkout is not: everything that travels with it must be inside."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (file,) = out.glob("cme_bench-*.whl")
    return file


def test_every_template_is_in_the_wheel(wheel):
    templates = {path.relative_to(ROOT).as_posix() for path in (ROOT / "cme").rglob("*.j2")}
    assert len(templates) >= 5 and templates <= set(zipfile.ZipFile(wheel).namelist())


def environment(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / "bin"


def run(*command: object, cwd: Path, **variables: str) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("CME_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**clean, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def check(binaries: Path, cwd: Path) -> None:
    names = {row["dataset"] for row in json.loads(run(binaries / "cme", "ls", "datasets", "--json", cwd=cwd))}
    assert {"qqp", "anli", "arc", "nq_open", "squad_v2", "cnn_dailymail"} <= names
    recipes = {row["recipe"] for row in json.loads(run(binaries / "cme", "ls", "recipes", "--json", cwd=cwd))}
    assert {"demo-lora", "demo-teamlora"} <= recipes
    tasks = Path(run(binaries / "cme", "tasks-path", cwd=cwd).strip())
    assert tasks.is_relative_to(binaries.parent), "the tasks of the checkout were found, not the wheel's"
    entries = cwd / "entries"
    entries.mkdir(exist_ok=True)
    name = "import importlib.metadata as m, cme; print(m.version('cme-bench') == cme.__version__)"
    assert run(binaries / "python", "-c", name, cwd=cwd).strip() == "True"
    page = run(binaries / "cme", "leaderboard", "--entries", entries, "--out", cwd / "board", cwd=cwd)
    assert "60.29" in page, "the paper's rows are missing from the wheel"


def plain_lm_eval(binaries: Path, cwd: Path, base: Path) -> None:
    tasks = run(binaries / "cme", "tasks-path", cwd=cwd).strip()
    command = [
        "run",
        "--model",
        "hf",
        "--model_args",
        f"pretrained={base}",
        "--include_path",
        tasks,
        "--tasks",
        "cme_qqp,cme_nq_open",
    ]
    command += ["--limit", "4", "--device", "cpu", "--output_path", cwd / "out", "--log_samples"]
    run(binaries / "lm_eval", *command, cwd=cwd, CME_DATA_SOURCE="mini", HF_HUB_OFFLINE="1")
    (file,) = (cwd / "out").glob("*/results_*.json")
    results = json.loads(file.read_text())["results"]
    assert 0 <= results["cme_qqp"]["acc,none"] <= 1
    assert "cme_score,none" in results["cme_nq_open"]


def test_the_wheel_alone_has_tasks_recipes_and_the_papers_rows(wheel, tmp_path):
    """Dependencies are borrowed from this environment, the checkout is not."""
    binaries = environment(tmp_path / "env")
    run(binaries / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    check(binaries, tmp_path)


@pytest.mark.long
def test_the_wheel_in_an_empty_environment_runs_plain_lm_eval(wheel, tmp_path, tiny_base):
    """Everything comes from the package registry, as for a new user."""
    binaries = environment(tmp_path / "env")
    pins = ["-c", ROOT / "constraints.txt"]
    run(binaries / "python", "-m", "pip", "install", "--quiet", *pins, "torch", cwd=tmp_path)
    run(binaries / "python", "-m", "pip", "install", "--quiet", *pins, wheel, cwd=tmp_path)
    check(binaries, tmp_path)
    plain_lm_eval(binaries, tmp_path, tiny_base)
