"""``cme lm-eval`` gives lm-eval the folder of CME's tasks, unless the user names one."""

import sys

import pytest

import cme
from cme.paths import tasks_dir

TASKS = ["--include_path", str(tasks_dir())]


@pytest.fixture
def seen(monkeypatch):
    """Return the folder of tasks and the tasks that lm-eval reads from arguments, without an evaluation."""
    from lm_eval._cli import HarnessCLI

    parsed = []
    monkeypatch.setattr(HarnessCLI, "execute", lambda self, args: parsed.append(args))

    def run(*words):
        before = list(sys.argv)
        cme.run_lm_eval(list(words))
        assert sys.argv == before
        return parsed.pop().include_path

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--model", "hf", "--tasks", "cme_qqp"),
        ("--model", "hf", "--tasks", "cme_qqp"),
        ("--tasks=cme_qqp", "--model=hf"),
        ("ls", "tasks"),
        ("validate", "--tasks", "cme_qqp"),
    ],
)
def test_lm_eval_finds_the_tasks(seen, words):
    assert seen(*words) == str(tasks_dir())


@pytest.mark.parametrize("given", [("--include_path", "mine"), ("--include_path=mine",), ("--include", "mine")])
@pytest.mark.parametrize("words", [("run", "--model", "hf", "--tasks", "x"), ("--tasks", "x"), ("ls", "tasks")])
def test_a_folder_of_the_user_counts(seen, words, given):
    assert seen(*words, *given) == "mine"


def test_a_folder_in_a_configuration_file_counts(seen, tmp_path):
    (tmp_path / "own.yaml").write_text("tasks: x\ninclude_path: mine\n")
    (tmp_path / "none.yaml").write_text("tasks: cme_qqp\n")
    for option in ("--config", "-C"):
        assert seen("run", option, str(tmp_path / "own.yaml")) is None, "lm-eval takes it from the file"
        assert seen("run", option, str(tmp_path / "none.yaml")) == str(tasks_dir())


def test_a_task_is_found_without_a_subcommand(tiny_base, cme_env, capsys):
    cme.run_lm_eval(["--model", "hf", "--model_args", f"pretrained={tiny_base}", "--tasks", "cme_qqp", "--limit", "2"])
    assert "|cme_qqp|" in capsys.readouterr().out.replace(" ", "")


@pytest.fixture
def cme_env(monkeypatch):
    monkeypatch.setenv("CME_DATA_SOURCE", "mini")
