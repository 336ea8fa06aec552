"""Extraction of a program from a generated text. Texts are parsed and never executed, because they are not trusted."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cme.suite.metrics.valid_python import (
    Parser,
    defined_names,
    first_line,
    is_demonstration,
    kept_lines,
    needs_function,
)

__all__ = ["assemble_program", "extract_program", "program_ended"]

_MOST_CHARACTERS = 20_000
_FENCE = re.compile(r"^[ \t]*```[^\n`]*$", re.MULTILINE)
_NO_CODE = re.compile("[\0\ud800-\udfff]")
_CODE_LINE = re.compile(
    r"(?:async|def|class|import|from|if|elif|else|for|while|with|try|except|finally)\b|[@#)\]}]|[\w.,\s\[\]'\"]+=(?!=)"
)
_DEFINITION = re.compile(r"@|(?:async\s+def|def|class)\s")
_BODY_START = re.compile(r"  |\t|return\b")
_INDENT = "    "

_OTHER, _DEFINES, _BODY, _WHOLE = range(4)


@dataclass(frozen=True)
class _Piece:
    """Code of a text.

    Attributes:
        code: the code.
        rank: how much it is worth: it defines all names, is a body, defines something, or none of these.
        ended: whether what follows in the text cannot belong to the code.
    """

    code: str
    rank: int = _OTHER
    ended: bool = False


def extract_program(text: str, names: Sequence[str] = (), head: str = "") -> str:
    r"""Extract the program from a generated text.

    The text is a program with all names, or the body of the function that the head begins. A program is the longest prefix of
    its lines that is valid Python, beginning with the first line of code. Lines before the last name is defined that are no
    valid Python are left out. A body is the longest prefix of its lines that is valid Python after the head. Of fenced blocks,
    the first one with all names is read.

    Args:
        text: the generated text.
        names: names that the program must define; the first one is the function of the head.
        head: code before the answer. Without one, and with names, the text is no body.

    Returns:
        The program, or the body of a function. A text without valid Python is returned as it is.

    Example:
        >>> extract_program("Here it is:\nX = 3\ndef f():\n    return X\nThis returns 3.", ["f"])
        'X = 3\ndef f():\n    return X'
    """
    return _read(text, names, head).code


def assemble_program(text: str, names: Sequence[str] = (), head: str = "") -> str:
    """Return the program to run: the extracted code, after the head if there is one.

    Args:
        text: the generated text.
        names: see `extract_program`.
        head: code before the answer. It precedes a body, and also a whole function, which then replaces its last function.
    """
    piece = _read(text, names, head)
    if not head or not piece.code:
        return piece.code
    if piece.rank == _BODY:
        return f"{head.rstrip()}\n{piece.code}\n"
    future = [line for line in piece.code.split("\n") if line.startswith("from __future__ ")]
    rest = [line for line in piece.code.split("\n") if line not in future]
    return "\n".join([*future, f"{head.rstrip()}\n\n", *rest, ""])


def program_ended(text: str) -> bool:
    """Return whether the program in a text ends before the text does, so that the text was not cut within the program."""
    return _read(text, (), "").ended


def _read(text: str, names: Sequence[str], head: str) -> _Piece:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _NO_CODE.split(text[:_MOST_CHARACTERS], maxsplit=1)[0]
    # The format "plain" puts one space before the answer.
    if text[:1] == " " and text[1:2] not in (" ", ""):
        text = text[1:]
    parser = Parser()
    fences = list(_FENCE.finditer(text))
    if not fences:
        return _best(text, names, head, parser)
    before = text[: fences[0].start()]
    piece = _best(before, names, head, parser)
    # Words before a fence can be valid Python too, but no program, and they are not indented.
    if piece.rank == _WHOLE or (piece.rank == _BODY and _BODY_START.match(before.lstrip("\n"))):
        return replace(piece, ended=True)
    ends = [*(fence.start() for fence in fences[1:]), len(text)]
    blocks = [text[fence.end() : end] for fence, end in zip(fences, ends, strict=True)][::2]
    pieces = [_best(block, names, head, parser) for block in blocks]
    best = max(range(len(pieces)), key=lambda number: pieces[number].rank)
    return replace(pieces[best], ended=pieces[best].ended or 2 * best + 1 < len(fences))


def _best(text: str, names: Sequence[str], head: str, parser: Parser) -> _Piece:
    """Return the code of a text without fences: a program or a body."""
    lines = text.strip("\n").rstrip().split("\n")
    while lines and not lines[0].strip():
        lines = lines[1:]
    if not lines:
        return _Piece("")
    indented = lines[0][0] in " \t"
    plain = textwrap.dedent("\n".join(lines)).split("\n") if indented else lines
    whole = _program(plain, names, parser)
    if head or not names:
        a_program = whole.rank == _WHOLE
        if indented:
            # It is a body, unless it is a whole program whose lines are all indented.
            inside = _DEFINITION.match(plain[0]) is None or any(map(needs_function, parser.prefix(plain).statements))
            a_program = a_program and not inside
        if not a_program and (body := _body(lines, names, head, parser)) is not None:
            return body
    return whole if whole.rank else _Piece("\n".join(lines).rstrip(), _OTHER, whole.ended)


def _program(lines: list[str], names: Sequence[str], parser: Parser) -> _Piece:
    """Return the program in some lines. Lines that are no valid Python are left out until all names are defined."""
    kept: list[str] = []
    known: set[str] = set()
    best, most = _Piece(""), (_OTHER, 0)
    at = 0
    while at < len(lines) and best.rank < _WHOLE:
        if not lines[at][:1].strip():
            at += 1
            continue
        rest = lines[at:]
        prefix = parser.prefix(rest)
        statements = list(prefix.statements)
        end, whole = prefix.end, prefix.whole
        outside = next((number for number, item in enumerate(statements) if needs_function(item)), None)
        if outside is not None:
            end = whole = first_line(statements[outside]) - 1
            statements = statements[:outside]
        cut = whole < end
        for last in (whole, end) if cut else (end,):
            present = [item for item in statements if first_line(item) <= last]
            new, functions = defined_names(present)
            wanted = len(set(names) & (known | new))
            rank = _DEFINES if functions or wanted else _OTHER
            if wanted == len(set(names)) and (functions or names):
                rank = _WHOLE
            shown = last
            while present and is_demonstration(present[-1]):
                shown = first_line(present.pop()) - 1
            code = "\n".join([*kept, *kept_lines(rest, present, shown)]).strip("\n").rstrip()
            if (rank, wanted) > most or (rank == _OTHER == best.rank and code):
                most, best = (rank, wanted), _Piece(code, rank, _is_over(rest[shown:]))
        present = [item for item in statements if first_line(item) <= whole]
        new, functions = defined_names(present)
        kept += kept_lines(rest, present, whole)
        known |= new
        at += end or 1
    return best


def _body(lines: list[str], names: Sequence[str], head: str, parser: Parser) -> _Piece | None:
    """Return the body of the last function of the head, or None if the lines are none."""
    before = head.rstrip().split("\n") if head else ["def function():"]
    indent = _INDENT
    if head and (known := parser.prefix(before)).end == len(before):
        first = getattr(known.statements[-1], "body", known.statements)[0]
        indent = before[first.lineno - 1][: first.col_offset] or _INDENT
    candidates = [(parser.prefix([*before, *body]), body) for body in _indented(lines, indent)]
    prefix, body = max(candidates, key=lambda item: item[0].end)
    function = sum(first_line(item) <= len(before) for item in prefix.statements) - 1
    if function < 0 or (prefix.statements[function].end_lineno or 0) <= len(before):
        return None
    end = prefix.whole if function < len(prefix.statements) - 1 else prefix.end
    after = [item for item in prefix.statements[function + 1 :] if first_line(item) <= end]
    again = next(
        (
            number
            for number, item in enumerate(after)
            if needs_function(item) or (names and names[0] in defined_names([item])[0])
        ),
        None,
    )
    if again is not None:
        end, after = first_line(after[again]) - 1, after[:again]
    while after and is_demonstration(after[-1]):
        end = first_line(after.pop()) - 1
    code = kept_lines([*before, *body], after, end)[len(before) :]
    rest = body[end - len(before) :]
    return _Piece("\n".join(code).strip("\n").rstrip(), _BODY, again is not None or _is_over(rest))


def _indented(lines: list[str], indent: str) -> list[list[str]]:
    """Return the lines of a body with each indentation that they can have been meant to have."""
    # The first line can have lost its indentation, or have one space more.
    made = [[indent + lines[0].lstrip(), *lines[1:]]]
    if lines[0][0] in " \t":
        made.insert(0, lines)
        margin = next((number for number, line in enumerate(lines) if line[:1].strip()), len(lines))
        own = textwrap.indent(textwrap.dedent("\n".join(lines[:margin])), indent)
        made.append([*own.split("\n"), *lines[margin:]])
    return made


def _is_over(rest: list[str]) -> bool:
    """Return whether the first line after a program is no code."""
    line = next((line for line in rest if line.strip()), " ")
    return not line[0].isspace() and _CODE_LINE.match(line) is None
