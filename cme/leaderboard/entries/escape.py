"""Text that others wrote, made harmless: one function for each format. What is shown stays what was written."""

import re

__all__ = ["clip", "for_csv", "for_latex", "for_markdown", "printable"]

LONGEST = 200
"""Characters of a text that a table shows."""

# Brackets around an interval, such as [55.20, 59.01], are no link, unless what follows makes them one.
_INTERVAL = r"-?\d+\.\d+, -?\d+\.\d+\](?![(\[:])"

_MARKDOWN = (
    (re.compile(r"[\\`*~$|]"), r"\\\g<0>"),
    # Within a word an underscore means nothing.
    (re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"), r"\\_"),
    (re.compile(rf"\[(?!{_INTERVAL})"), r"\\["),
    (re.compile(r"&"), "&amp;"),
    (re.compile(r"<"), "&lt;"),
    (re.compile(r">"), "&gt;"),
    # What becomes a link or a picture by itself: addresses, :names: of pictures. Escapes do not stop addresses of mail.
    (re.compile(r":(?=//|[\w+-]+:)"), r"\\:"),
    (re.compile(r"(?<=www)\.", re.IGNORECASE), r"\\."),
    (re.compile(r"(?<=\S)@"), "<!-- -->@"),
)

_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\textquotedbl{}",
    # At the start of a row these would be read as options of the line break before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "φ": r"$\varphi$",
    "\ufffd": "?",
    "–": r"\textendash{}",
    "…": r"\ldots{}",
    **{character: f"\\{character}" for character in "{}$&#%_"},
}

# Spreadsheets in some languages take the wide forms for the narrow ones.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def printable(text: str) -> str:
    """One line of printable text: no line breaks, control or invisible characters.

    What cannot be printed becomes U+FFFD, so that a terminal obeys no text and no text looks like another.
    """
    return "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))


def clip(text: str) -> str:
    """At most `LONGEST` characters of a text."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def for_markdown(text: str) -> str:
    """Text for a paragraph or a table's cell in GitHub's Markdown: nothing in it is markup, HTML, a link or a formula."""
    text = printable(text)
    for pattern, replacement in _MARKDOWN:
        text = pattern.sub(replacement, text)
    return text


def for_latex(text: str) -> str:
    """Text for a paragraph or a table's cell in LaTeX (T1 encoding); nothing in it is a command."""
    return "".join(_LATEX.get(character, _in_t1(character)) for character in printable(text)).replace("--", "-{}-")


def _in_t1(character: str) -> str:
    """A letter that the encoding has; any other would stop LaTeX."""
    return character if character < "\u0180" else "?"


def for_csv(text: str) -> str:
    """Text for a cell of a CSV file: a spreadsheet takes it for text, never for a formula.

    Source: OWASP, CSV Injection.
    """
    text = printable(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
