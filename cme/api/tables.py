"""Small tables that display the API's objects as text and in notebooks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["as_html", "as_text"]


def as_text(title: str, frame: "pd.DataFrame", notes: Sequence[str] = ()) -> str:
    """Return the title, the table and the notes as text."""
    body = frame.to_string(index=False, na_rep="", float_format="{:z.2f}".format) if len(frame) else "(no rows)"
    return "\n".join([title, body, *notes])


def as_html(title: str, frame: "pd.DataFrame", notes: Sequence[str] = ()) -> str:
    """Return the title, the table and the notes as HTML. All texts are escaped."""
    import html

    body = frame.to_html(index=False, na_rep="", float_format="{:z.2f}".format, border=0, escape=True)
    return "".join([f"<p><b>{html.escape(title)}</b></p>", body, *(f"<p>{html.escape(note)}</p>" for note in notes)])
