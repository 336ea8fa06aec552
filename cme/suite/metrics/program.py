"""Extraction of a program from a generated text. Nothing is parsed or executed here, because the text is not trusted."""

import re

__all__ = ["assemble_program", "extract_program"]

_FENCE = re.compile(r"^[ \t]*```[^\n`]*$", re.MULTILINE)
_BEGINNING = r"(?:async\s+)?def\s+\w+\s*\(|class\s+\w+\s*[:(]|import\s+\w|from\s+[\w.]+\s+import\b|@\w"
_START = re.compile(_BEGINNING)
_CODE_LINE = re.compile(rf"{_BEGINNING}|#|[\w.,\s\[\]'\"]+(?::\s*[\w.\[\], |]+)?\s*[-+*/|&]?=(?!=)")
_BODY = "    "


def extract_program(text: str) -> str:
    """Extract the program from a generated text.

    A fenced block of code is the program; of several blocks the first with a function is. If code precedes the first fence, the
    fence is its end. Without a fence, words before the first line of code are left out. After its first
    function or class, the program ends before the first line at the left margin that is not a definition, an import, an
    assignment, a comment or the end of one of them. If the text has no
    definition, it is the body of a function, and ends at the first line that is not indented.

    Args:
        text: the generated text.

    Returns:
        The program, or the body of a function, or an empty text.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # The format "plain" puts one space before the answer.
    if text[:1] == " " and text[1:2] not in (" ", ""):
        text = text[1:]
    if (fenced := _fenced(text)) is not None:
        return fenced.strip("\n").rstrip()
    text = _FENCE.split(text, maxsplit=1)[0]
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines) if _START.match(line)), None)
    if start is None:
        return _body(lines)
    kept = lines[start : start + 1]
    defined = kept[0].lstrip("@").startswith(("def", "class", "async"))
    for line in lines[start + 1 :]:
        inside = not line or line[0] in " \t)]}"
        if defined and not inside and not _CODE_LINE.match(line):
            break
        defined = defined or line.startswith(("def", "class", "async"))
        kept.append(line)
    return "\n".join(kept).strip("\n").rstrip()


def _fenced(text: str) -> str | None:
    """Return the first fenced block with a function, or the first block. The last block can be open.

    Return None without a fence, or if the first fence ends code that began without one.
    """
    fences = list(_FENCE.finditer(text))
    before = text[: fences[0].start()].strip("\n").split("\n") if fences else []
    if any(map(_START.match, before)) or (before[:1] and before[0].startswith(("  ", "\t"))):
        return None
    blocks = [
        text[fence.end() : fences[number + 1].start() if number + 1 < len(fences) else len(text)]
        for number, fence in enumerate(fences)
        if number % 2 == 0
    ]
    if not blocks:
        return None
    return next((block for block in blocks if re.search(r"^\s*(?:async\s+)?def\s", block, re.MULTILINE)), blocks[0])


def _body(lines: list[str]) -> str:
    """Return the lines of the body of a function. Its first line can have lost its indentation."""
    while lines and not lines[0].strip():
        lines = lines[1:]
    kept: list[str] = []
    for number, line in enumerate(lines):
        if number and line and line[0] not in " \t":
            break
        kept.append(line)
    if kept and kept[0][:1] not in (" ", "\t"):
        kept[0] = f"{_BODY}{kept[0]}"
    return "\n".join(kept).strip("\n").rstrip()


def assemble_program(extracted: str, name: str, head: str) -> str:
    """Return the program to run.

    Args:
        extracted: the result of `extract_program`.
        name: name of the function to write.
        head: code before the answer. It precedes a body, and also a whole function, which then replaces its last function.
    """
    if not head or not extracted:
        return extracted
    whole = re.search(rf"^[ \t]*(?:async\s+)?def\s+{re.escape(name)}\s*\(", extracted, re.MULTILINE)
    return f"{head.rstrip()}\n\n\n{extracted}\n" if whole else f"{head.rstrip()}\n{extracted}\n"
