"""Which package may import which, and what ``import cme`` must not import."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "cme"

BASE = {
    "__init__",
    "_register",
    "cgroup",
    "config",
    "env",
    "errors",
    "extras",
    "files",
    "frames",
    "locks",
    "machine",
    "paths",
    "patterns",
    "problems",
    "processes",
    "progress",
    "readers",
    "reports",
    "templates",
    "terminal",
    "workdir",
}
"""Modules at the top of the package. Every package may import them, and they import no package."""

_DATA = {"stats", "records", "suite", "mini_corpus", "data", "prompt"}

MAY_IMPORT = {
    "sandbox": set(),
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
    "evaluation": _DATA | {"sandbox", "models", "adapters"},
    "analysis": _DATA | {"models", "adapters"},
    "bench": _DATA | {"models", "adapters"},
    # It uses rows of a mix, distils with the Trainer, and evaluates.
    "export": _DATA | {"models", "adapters", "mix", "training", "evaluation", "analysis"},
    # It shows the texts of samples, and a note about the weights of the embedded base.
    "leaderboard": _DATA | {"models"},
    # It plans commands, which run in processes of their own.
    "board": _DATA | {"sandbox", "models", "adapters", "mix", "training", "leaderboard"},
}
"""Package → packages that it may import, from the ground up; ``cli`` may import all, and nothing imports ``cli``."""

MAY_IMPORT["api"] = set(MAY_IMPORT)

LEADERBOARD = {
    "entries": set(),
    "ranking": {"entries"},
    "rendering": {"entries", "ranking"},
    "submission": {"entries", "ranking"},
}
"""Package of the leaderboard → those of its packages that it may import."""

HEAVY = (
    "torch",
    "peft",
    "transformers",
    "lm_eval",
    "datasets",
    "pyarrow",
    "pandas",
    "sklearn",
    "scipy",
    "matplotlib",
    "jinja2",
    "pydantic",
    "yaml",
    "numpy",
)


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


def package_of(path: Path) -> str:
    """Return the package of a file below ``cme/`` (``python -m cme`` is the command line), or the name of a base module."""
    first = path.relative_to(PACKAGE).with_suffix("").parts[0]
    return "cli" if first == "__main__" else first


def violations(path: Path, source: str) -> list[str]:
    """List the imports of a module that its package must not have."""
    own, problems = package_of(path), []
    inner = path.relative_to(PACKAGE).parts[1:2]
    for name in imported(ast.parse(source)):
        steps = name.split(".")
        if steps[0] != "cme" or len(steps) == 1:
            continue
        other = steps[1]
        if own == other == "leaderboard" and inner and inner[0] in LEADERBOARD:
            if "".join(steps[2:3]) not in {inner[0], *LEADERBOARD[inner[0]]}:
                problems.append(f"{path.relative_to(PACKAGE.parent)} imports {name}")
            continue
        # ``from cme import __version__`` names no package.
        if other in (own, "__version__") or own == "cli" or (other in BASE and own not in BASE):
            continue
        if own in BASE:
            # The import hook waits for peft and then registers the adapters; the package names the API for type checkers.
            allowed = other in BASE or (own, name.startswith("cme.adapters.registration")) == ("_register", True)
            allowed = allowed or (own == "__init__" and other in ("api", "adapters"))
        else:
            allowed = other in MAY_IMPORT.get(own, set())
        if not allowed:
            problems.append(f"{path.relative_to(PACKAGE.parent)} imports {name}")
    return problems


MODULES = sorted(PACKAGE.rglob("*.py"))


def test_packages_import_only_packages_below_them():
    assert [line for path in MODULES for line in violations(path, path.read_text())] == []


def test_every_package_has_a_place_in_the_order():
    assert {package_of(path) for path in MODULES} - set(MAY_IMPORT) - BASE <= {"cli"}


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
        ("leaderboard/x.py", "from cme.adapters import x"),
        ("leaderboard/entries/x.py", "from cme.leaderboard.ranking.numbers import listing"),
        ("leaderboard/ranking/x.py", "from cme.leaderboard.rendering.notes import notes"),
        ("leaderboard/submission/x.py", "from cme.leaderboard.rendering import render"),
        ("leaderboard/rendering/x.py", "from cme.leaderboard import submission"),
        ("data/x.py", "from cme.cli import app"),
        ("records/x.py", "from cme.stats import x"),
        ("training/x.py", "from cme.api.training import train"),
        ("api/x.py", "from cme.cli import app"),
        ("errors.py", "from cme.suite import x"),
    ],
)
def test_a_forbidden_import_is_detected(file, source):
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
        ("leaderboard/submission/x.py", "from cme.leaderboard.entries.files import x"),
        ("config.py", "from cme.errors import nearest"),
    ],
)
def test_an_allowed_import_is_accepted(file, source):
    assert violations(PACKAGE / file, source) == []


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """List groups of modules that import each other directly or indirectly. Imports inside functions count."""

    def reached(start: str) -> set[str]:
        seen, open_ = set(), [start]
        while open_:
            for other in graph[open_.pop()] - seen:
                seen.add(other)
                open_.append(other)
        return seen

    after = {module: reached(module) for module in graph}
    groups = {frozenset({module, *(other for other in after[module] if module in after[other])}) for module in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def module_graph() -> dict[str, set[str]]:
    """Module of ``cme`` → the modules of ``cme`` that it imports."""
    known = {dotted(path): path for path in MODULES}
    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        graph[module] = set()
        for name in imported(ast.parse(path.read_text())):
            while name and name not in known:
                name = name.rpartition(".")[0]
            graph[module] |= {name} - {"", "cme", module}
    return graph


def test_no_modules_import_each_other():
    assert circles(module_graph()) == []


def test_a_circle_is_seen():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert circles(graph) == [["a", "b", "c"]]


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
