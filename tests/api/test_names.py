"""What ``import cme`` offers: every name, to people, to programs and to type checkers."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import cme
from cme.errors import UsageError

INIT = Path(cme.__file__)


def test_every_public_name_is_there():
    for name in cme.__all__:
        assert getattr(cme, name) is not None, name
    assert set(cme.__all__) <= set(dir(cme))
    assert {"evaluate", "train", "build_mix", "load_result", "load_board", "TeamLoraConfig"} <= set(cme.__all__)


def test_type_checkers_see_the_same_names_in_the_same_modules():
    block = next(
        node
        for node in ast.parse(INIT.read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )
    seen = {alias.name: item.module for item in block.body for alias in item.names}
    assert seen == cme._HOMES
    assert set(cme.__all__) == {*cme._HOMES, "__version__"}


def test_a_public_name_is_public_in_its_own_module():
    for name, home in cme._HOMES.items():
        assert name in importlib.import_module(home).__all__, name


def test_no_name_hides_a_package():
    folders = {path.stem for path in INIT.parent.iterdir()}
    assert not folders & set(cme._HOMES)


def test_a_wrong_name_is_an_attribute_error_and_a_type_error():
    with pytest.raises(AttributeError, match="evaluat'"):
        _ = cme.evaluat
    with pytest.raises(ImportError):
        importlib.import_module("cme.evaluat")


def test_a_type_checker_finds_mistakes(tmp_path):
    (tmp_path / "user.py").write_text(
        "import cme\n"
        "cme.evaluate(adapter='x', tier='quick').average + 1.0\n"
        "cme.evaluate(teir='quick')\n"
        "cme.load_bord('x')\n"
        "cme.count_parameters(rank='high')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports", "user.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(INIT.parents[1]), "PATH": "", "MYPY_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = [line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line]
    assert wrong == ["3", "4", "5"], done.stdout + done.stderr


test_a_type_checker_finds_mistakes = pytest.mark.long(test_a_type_checker_finds_mistakes)


def test_an_empty_text_and_a_nul_character_are_refused():
    with pytest.raises(
        UsageError, match=r"cme\.evaluate: base: the text is empty; give a value, or leave the argument out"
    ):
        cme.evaluate(base="", source="mini")
    with pytest.raises(UsageError, match=r"cme.load_board: folder: 'a\\x00b' contains a NUL character"):
        cme.load_board("a\0b")
    with pytest.raises(UsageError, match=r"prompt_variants: .* contains a NUL character"):
        cme.submit("results", prompt_variants=["a", "b\0"])
