"""Tables of values as CSV, written by pandas."""

from collections.abc import Sequence

__all__ = ["csv_text"]


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    r"""Format rows as CSV with a header and ``\n`` line ends.

    Args:
        columns: names of the columns.
        rows: one value per column. None is an empty cell, and numbers keep their type.

    Returns:
        The text of the file.

    Example:
        >>> csv_text(["name", "n"], [["a,b", 1], ["c", None]])
        'name,n\n"a,b",1\nc,\n'
    """
    import pandas as pd

    # With dtype object, a column of whole numbers keeps its type even if a value is missing.
    frame = pd.DataFrame([list(row) for row in rows], columns=list(columns), dtype=object)
    return str(frame.to_csv(index=False, lineterminator="\n"))
