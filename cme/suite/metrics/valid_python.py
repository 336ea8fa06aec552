"""The parts of a text that are valid Python. Texts are parsed with `ast.parse` and never compiled or executed."""

import ast
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Parser", "Prefix", "defined_names", "first_line", "is_demonstration", "kept_lines", "needs_function"]

_MOST_PARSED = 500_000
_BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DEMONSTRATIONS = re.compile("print|main|tests?|check|(?:test|check|run_test)_.*|testmod")


@dataclass(frozen=True)
class Prefix:
    """The longest prefix of lines that is valid Python.

    Attributes:
        statements: its statements at the left margin.
        end: number of its lines.
        cut: whether the last statement goes on after the prefix, so that only its first lines are valid.
    """

    statements: tuple[ast.stmt, ...]
    end: int
    cut: bool

    @property
    def whole(self) -> int:
        """Number of lines before the statement that is cut, or of all lines."""
        return first_line(self.statements[-1]) - 1 if self.cut else self.end


@dataclass
class Parser:
    """Parses texts until they are longer than a limit together, so that no text takes long.

    Attributes:
        characters: number of characters that may still be parsed.
    """

    characters: int = field(default=_MOST_PARSED)

    @property
    def exhausted(self) -> bool:
        """Whether the limit is reached, so that nothing more is parsed."""
        return self.characters < 0

    def prefix(self, lines: Sequence[str]) -> Prefix:
        """Return the longest prefix of some lines that is valid Python. It has no lines if the first statement is invalid."""
        end = len(lines)
        while end > 0 and not self.exhausted:
            source = "\n".join(lines[:end])
            self.characters -= len(source)
            if self.exhausted:
                break
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    statements = tuple(ast.parse(source).body)
            except SyntaxError as error:
                end = min(end - 1, (error.lineno or end) - 1)
            except (ValueError, RecursionError, MemoryError):
                # These errors have no line. The last statement at the left margin is left out.
                end = next((at for at in range(end - 1, 0, -1) if lines[at][:1].strip()), 0)
            else:
                following = next((line for line in lines[end:] if line.strip()), "")
                compound = bool(statements) and isinstance(statements[-1], (*_BLOCKS, *_FUNCTIONS))
                return Prefix(statements, end, compound and following[:1].isspace())
        return Prefix((), 0, False)


def first_line(statement: ast.stmt) -> int:
    """Return the number of the first line of a statement, with its decorators. Lines are counted from 1."""
    decorators = statement.decorator_list if isinstance(statement, _FUNCTIONS) else []
    return min([statement.lineno, *(item.lineno for item in decorators)])


def defined_names(statements: Iterable[ast.stmt]) -> tuple[set[str], bool]:
    """Return the names that statements define, and whether one of them is a function or a class."""
    names: set[str] = set()
    functions = False
    for statement in _inner(statements):
        if isinstance(statement, _FUNCTIONS):
            names.add(statement.name)
            functions = True
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
            functions = functions or isinstance(statement.value, ast.Lambda)
    return names, functions


def needs_function(statement: ast.stmt) -> bool:
    """Return whether a statement is allowed in a function or a loop only. It begins the body of a function."""
    return isinstance(statement, ast.Return | ast.Break | ast.Continue | ast.Nonlocal)


def is_demonstration(statement: ast.stmt) -> bool:
    """Return whether a statement shows or tests what a program does, and defines nothing.

    These are asserts, calls of ``print``, ``main`` and of names such as ``test_f`` and ``check``, statements under
    ``if __name__``, and blocks of such statements.
    """
    if isinstance(statement, ast.If) and "__name__" in {
        node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)
    }:
        return True
    simple = [item for item in _inner([statement]) if not isinstance(item, _BLOCKS)]
    return all(isinstance(item, ast.Assert | ast.Pass) or _shows(item) or _does_nothing(item) for item in simple)


def kept_lines(lines: Sequence[str], statements: Sequence[ast.stmt], end: int) -> list[str]:
    """Return the first lines without statements that have no effect: names, constants, and annotations without a value.

    Such statements are words that happen to be valid Python. Executing them would raise an error.

    Args:
        lines: the lines.
        statements: the statements of the lines.
        end: number of lines to keep.
    """
    # Statements can share a line.
    needed = {line for item in statements if not _does_nothing(item) for line in _lines_of(item)}
    removed = {line for item in statements if _does_nothing(item) for line in _lines_of(item)} - needed
    return [line for number, line in enumerate(lines[:end], 1) if number not in removed]


def _lines_of(statement: ast.stmt) -> range:
    return range(first_line(statement), (statement.end_lineno or statement.lineno) + 1)


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Call)
    return isinstance(statement, ast.AnnAssign) and statement.value is None


def _shows(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    called = statement.value.func
    name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
    return _DEMONSTRATIONS.fullmatch(name) is not None


def _inner(statements: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Yield statements and those in their blocks, but not those in functions. Blocks can be nested deeply, so nothing recurs."""
    waiting = list(statements)[::-1]
    while waiting:
        statement = waiting.pop()
        yield statement
        if isinstance(statement, _BLOCKS):
            for name in ("finalbody", "orelse", "handlers", "body"):
                for item in reversed(getattr(statement, name, [])):
                    waiting += item.body[::-1] if isinstance(item, ast.ExceptHandler) else [item]
