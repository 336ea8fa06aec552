"""Tables on the terminal, drawn by rich."""

import io
import sys
from collections.abc import Sequence

__all__ = ["is_number", "show_records", "show_table"]

_UNLIMITED = 100_000
"""Characters per line in a pipe or a file, where no window limits the width."""


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table with numbers aligned to the right.

    On a terminal the table fits the width of the window. In a pipe or a file it is plain text without escape codes: one line
    per row, with columns at least two spaces apart.

    Args:
        columns: headings.
        rows: one value per column. None is an empty cell.
    """
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [["" if value is None else _printable(str(value)) for value in row] for row in rows]
    # Rows of a box: top, header, rule below it, body, rules between rows and above the footer, footer, bottom.
    box = Box("    \n    \n -  \n    \n    \n    \n    \n    \n", ascii=True)
    table = Table(box=box, show_edge=False, pad_edge=False, collapse_padding=True)
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(is_number(row[index]) for row in cells)
        table.add_column(Text(column), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    if sys.stdout.isatty():
        Console().print(table)
        return
    text = io.StringIO()
    Console(file=text, width=_UNLIMITED, color_system=None, force_terminal=False, force_jupyter=False).print(table)
    print("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def show_records(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print each row as a block of lines, one per filled column, for tables that are too wide for a terminal.

    Args:
        columns: headings. The first column is the title of a block.
        rows: one value per column. None is an empty cell.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    for row in rows:
        title, *values = ["" if value is None else _printable(str(value)) for value in row]
        console.print(Text(title, style="bold"))
        for column, value in zip(columns[1:], values, strict=True):
            if value:
                console.print(Padding(Text(f"{column}: {value}"), (0, 0, 0, 2), expand=False))


def is_number(text: str) -> bool:
    """Return whether a cell holds a number, possibly with a unit, or is empty."""
    return (
        not text
        or text.replace(",", "").replace(".", "").replace("%", "").replace("-", "").strip().split(" ")[0].isdigit()
    )


def _printable(text: str) -> str:
    """Replace control characters, so that no cell moves the cursor or colours the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
