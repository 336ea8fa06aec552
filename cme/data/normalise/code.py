"""Normalisers of programming tasks. The accepted answer of an example is the JSON of its tests, with which its program runs."""

import ast
import builtins
import json
from collections.abc import Iterable
from typing import Any

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import BadValueError, is_empty, text
from cme.suite import DatasetSpec

__all__ = ["humaneval", "mbpp"]

_MOST_CHARACTERS = 50_000
_BUILTINS = frozenset(dir(builtins))


def mbpp(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of MBPP. The prompt shows the task, the code that precedes the tests, and the tests.

    Args:
        row: columns text, code, test_setup_code (str), test_list (list of str; each is an assert).
        spec: the dataset.

    Source: https://arxiv.org/abs/2108.07732.
    """
    tests = row["test_list"]
    if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
        raise BadValueError("test_list", tests, "a list of asserts")
    task, code, before = text(row, "text"), text(row, "code"), text(row, "test_setup_code")
    asserts = "\n".join(line for test in tests if (line := text({"test": test}, "test")))
    if is_empty(task, code, asserts):
        return Dropped("empty text")
    shown = f"{before}\n{asserts}" if before else asserts
    written, own = _tree(shown), _tree(code)
    if written is None or own is None:
        return Dropped("code that is not valid Python 3")
    # A name that the solution defines is the program's, also if Python has a function of this name.
    defined = {node.name for node in own.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names = sorted(name for name in _free_names(written) if name in defined or name not in _BUILTINS)
    if not names:
        return Dropped("tests that call no function of the program")
    return Content(
        input=f"Task: {task}\nTests:\n{shown}",
        output=code,
        match=(task,),
        answers=(_tests(shown, names),),
    )


def humaneval(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of HumanEval. The prompt is the head of a function with its docstring; the tests are hidden.

    Args:
        row: columns prompt, canonical_solution, test, entry_point (str). ``test`` defines ``check(candidate)``.
        spec: the dataset.

    Source: https://arxiv.org/abs/2107.03374.
    """
    prompt, test, name = _code(row, "prompt"), _code(row, "test"), text(row, "entry_point")
    solution = _code(row, "canonical_solution")
    if is_empty(prompt.strip(), test.strip(), name, solution.strip()):
        return Dropped("empty text")
    head = _tree(prompt)
    functions = [node for node in head.body if isinstance(node, ast.FunctionDef)] if head else []
    own = next((node for node in functions if node.name == name), None)
    if own is None or _tree(test) is None:
        return Dropped("code that is not valid Python 3")
    return Content(
        input=prompt.strip("\n"),
        output=f"{prompt}{solution}".strip("\n"),
        match=(ast.get_docstring(own) or prompt,),
        answers=(_tests(f"{test}\n\ncheck({name})", [name], prompt),),
    )


def _tests(tests: str, names: Iterable[str], head: str = "") -> str:
    """Return the JSON of the tests of a program.

    Args:
        tests: the code of the tests.
        names: names that the tests take from the program; the first one is the function to write.
        head: code before the answer, which the program may leave out.
    """
    return json.dumps({"tests": f"{tests}\n", "names": list(names), "head": head})


def _code(row: Row, column: str) -> str:
    """Return code with line feeds as line breaks. White space at its start has a meaning."""
    value = row[column]
    text(row, column)
    return (value or "").replace("\r\n", "\n").replace("\r", "\n")


def _tree(code: str) -> ast.Module | None:
    """Parse code of a dataset, or return None if it is not valid Python. It is not executed."""
    if len(code) > _MOST_CHARACTERS:
        return None
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _free_names(tree: ast.AST) -> set[str]:
    """Return the names that some code reads and does not define."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    imported: list[Any] = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    defined = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    defined |= {alias.asname or alias.name.partition(".")[0] for node in imported for alias in node.names}
    defined |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    defined |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {node.id for node in names if isinstance(node.ctx, ast.Load)} - defined
