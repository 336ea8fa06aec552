"""CI runs the tests of attacks in a sandbox. They would be skipped if it had none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.leaderboard.test_committed_boards import BOARDS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def log(tmp_path):
    """Run ``.ci/run`` with programs that only write down how they are called, and return what they wrote."""
    programs, log = tmp_path / "bin", tmp_path / "log"
    programs.mkdir()
    for name in ("bash", "dirname", "mktemp", "rm"):
        (programs / name).symlink_to(shutil.which(name))
    for name in ("apt-get", "sudo", "make"):
        (programs / name).write_text(
            f'#!{shutil.which("bash")}\necho "${{CME_REQUIRE_SANDBOX:-0}} {name} $*" >> "{log}"\n'
        )
        (programs / name).chmod(0o755)
    (programs / "id").write_text(f"#!{shutil.which('bash')}\necho 0\n")
    (programs / "id").chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    for folder in ("entries", "one/entries", "one/other-base/entries", "two/studies/ranks/entries", "planned/entries"):
        (tmp_path / "leaderboards" / folder).mkdir(parents=True)
        if folder.startswith(("one/", "two/")):
            (tmp_path / "leaderboards" / folder / "lora.json").write_text("{}")
    for board in ("one", "two", "planned"):
        (tmp_path / "leaderboards" / board / "board.yaml").write_text("")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "cme").write_text(f'#!{shutil.which("bash")}\necho "cme $*" >> "{log}"\n')
    (tmp_path / ".venv" / "bin" / "cme").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "CME_REQUIRE_SANDBOX"}
    subprocess.run(
        [shutil.which("bash"), tmp_path / ".ci" / "run"], env=environment | {"PATH": str(programs)}, check=True
    )
    return log.read_text().splitlines()


def test_ci_installs_bubblewrap_and_requires_the_sandbox(log):
    tests = log.index("1 make test")
    assert any("apt-get install" in line and "bubblewrap" in line.split() for line in log[:tests])


def test_ci_checks_the_tables_of_studies_and_bases(log):
    """Also those of boards whose entries all lie in folders of studies. The tests themselves verify the boards."""
    called = [line.removeprefix("cme ") for line in log if line.startswith("cme ")]
    assert called == [f"board tables leaderboards/{board}/board.yaml --check" for board in ("one", "two")]


def test_the_tests_verify_every_committed_board():
    """Also boards of studies and of further bases."""
    committed = {path.parents[1] for path in (ROOT / "leaderboards").glob("**/entries/*.json")}
    assert set(BOARDS) == committed


@pytest.mark.parametrize("name", ["ci.yml", "newest.yml"])
def test_workflows_install_bubblewrap_and_require_the_sandbox(name):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    testing = 0
    for job in workflow["jobs"].values():
        commands = [step.get("run", "") for step in job["steps"]]
        for number, step in enumerate(job["steps"]):
            if "pytest" not in commands[number]:
                continue
            testing += 1
            environment = {**workflow.get("env", {}), **job.get("env", {}), **step.get("env", {})}
            assert environment.get("CME_REQUIRE_SANDBOX") == "1"
            installed = [command for command in commands[:number] if "apt-get install" in command]
            assert any("bubblewrap" in command.split() for command in installed)
    assert testing
