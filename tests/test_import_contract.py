"""Who may import whom, and what ``import cme`` must not cost."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "cme"

BASE = {"__init__", "_register", "config", "env", "errors", "files", "paths", "progress", "workdir"}
"""Modules at the top of the package: every room may import them, they import none."""

_DATA = {"stats", "records", "suite", "mini_corpus", "data", "prompt"}

MAY_IMPORT = {
    "stats": set(),
    "records": set(),
    "suite": {"stats", "records"},
    "mini_corpus": {"suite"},
    "data": {"suite", "mini_corpus"},
    "prompt": {"suite", "data"},
    "models": set(),
    "adapters": {"models"},
    "mix": _DATA | {"models"},
    "training": _DATA | {"models", "adapters", "mix"},
    "evaluation": _DATA | {"models", "adapters"},
    "analysis": _DATA | {"models", "adapters"},
    # It measures the engine of `evaluation` against lm-eval's own code.
    "bench": _DATA | {"models", "adapters", "evaluation"},
    # It shows the texts of samples, and names methods as their runs do.
    "leaderboard": _DATA | {"adapters"},
}
"""Room → rooms it may import, from the ground up; ``cli`` may import all, and nothing imports ``cli``."""

HEAVY = ("torch", "peft", "transformers", "lm_eval", "datasets", "pyarrow", "pandas", "scipy")


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what a module imports, at its top or inside of functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "import_module":
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def room(path: Path) -> str:
    """The room of a file below ``cme/`` (``python -m cme`` is the command line), or the name of a base module."""
    first = path.relative_to(PACKAGE).with_suffix("").parts[0]
    return "cli" if first == "__main__" else first


def violations(path: Path, source: str) -> list[str]:
    """What a module imports though its room must not."""
    own, found = room(path), []
    for name in imported(ast.parse(source)):
        steps = name.split(".")
        if steps[0] != "cme" or len(steps) == 1:
            continue
        other = steps[1]
        # ``from cme import __version__`` names no room.
        if other in (own, "__version__") or own == "cli" or (other in BASE and own not in BASE):
            continue
        if own in BASE:
            # The import hook waits for peft and then registers the adapters.
            allowed = other in BASE or (own, name.startswith("cme.adapters.registration")) == ("_register", True)
        else:
            allowed = other in MAY_IMPORT.get(own, set())
        if not allowed:
            found.append(f"{path.relative_to(PACKAGE.parent)} imports {name}")
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


def test_rooms_import_only_rooms_below_them():
    assert [line for path in MODULES for line in violations(path, path.read_text())] == []


def test_every_room_has_a_place_in_the_order():
    assert {room(path) for path in MODULES} - set(MAY_IMPORT) - BASE <= {"cli"}


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("suite/x.py", "from cme.data.example import Example"),
        ("suite/x.py", "from cme import data"),
        ("mix/x.py", "def f():\n    from cme.evaluation import task"),
        ("mix/x.py", "import cme.adapters.routed.layer"),
        ("training/x.py", "from cme.evaluation.task import load"),
        ("evaluation/x.py", "from cme.training import x"),
        ("leaderboard/x.py", "from cme.evaluation import x"),
        ("leaderboard/x.py", "import importlib\nimportlib.import_module('cme.mix')"),
        ("data/x.py", "from cme.cli import app"),
        ("records/x.py", "from cme.stats import x"),
        ("errors.py", "from cme.suite import x"),
    ],
)
def test_a_forbidden_import_is_seen(file, source):
    assert len(violations(PACKAGE / file, source)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "suite/x.py",
            "from cme.errors import CMEError\nfrom cme.stats import x\nfrom cme import __version__\nimport cme",
        ),
        ("mix/x.py", "from cme.prompt import render"),
        ("cli/x.py", "from cme.training import x"),
        ("config.py", "from cme.errors import nearest"),
    ],
)
def test_an_allowed_import_is_let_through(file, source):
    assert violations(PACKAGE / file, source) == []


def heavy_after(code: str) -> list[str]:
    """Which heavy packages a fresh interpreter has imported after ``code``."""
    show = f"; import sys, json; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code + show], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_cme_is_cheap():
    assert heavy_after("import cme") == []


def test_the_command_line_is_cheap_to_start():
    verbs = sorted(path.stem for path in (PACKAGE / "cli").glob("*.py") if path.stem != "__init__")
    assert heavy_after("import cme.cli.main, " + ", ".join(f"cme.cli.{verb}" for verb in verbs)) == []
