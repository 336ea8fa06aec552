"""Plain tables for the terminal."""

from collections.abc import Sequence

__all__ = ["is_number", "show_table"]


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: styled on a terminal, aligned plain text in a pipe; numbers to the right."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(column), *(len(row[k]) for row in cells), 0) for k, column in enumerate(columns)]
    numeric = [bool(cells) and all(is_number(row[k]) for row in cells) for k in range(len(columns))]

    def line(values: Sequence[str]) -> str:
        placed = [v.rjust(w) if right else v.ljust(w) for v, w, right in zip(values, widths, numeric, strict=True)]
        return "  ".join(placed).rstrip()

    print(line(columns))
    print("  ".join("-" * width for width in widths))
    for row in cells:
        print(line(row))


def is_number(text: str) -> bool:
    """Whether a cell holds a number, with its unit at most."""
    return (
        not text
        or text.replace(",", "").replace(".", "").replace("%", "").replace("-", "").strip().split(" ")[0].isdigit()
    )
