"""Jinja templates of cards and of the page, and the filters that make text from others harmless in Markdown."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

__all__ = ["environment", "fenced", "inline_code", "render_markdown"]


@cache
def environment(folder: Path, *, autoescape: bool) -> "jinja2.Environment":
    """Return the Jinja environment for the templates of a folder.

    An undefined name is an error, a line with nothing but a block leaves no empty line, and the last line break stays.

    Args:
        folder: where the templates are.
        autoescape: True for HTML. Markdown has no general escape: its templates put text from others through ``code``
            or ``fenced``, or get it escaped.

    Returns:
        The environment, with the filters ``code``, ``commas`` and ``fenced``.
    """
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"code": inline_code, "commas": "{:,}".format, "fenced": fenced}
    return made


def render_markdown(template: Path, values: Mapping[str, Any]) -> str:
    """Fill in a Markdown template.

    Args:
        template: file that ends in ``.md.j2``.
        values: what its names stand for.

    Returns:
        The text.
    """
    return environment(template.parent, autoescape=False).get_template(template.name).render(values)


def inline_code(text: str) -> str:
    """Format any text as code within a line of Markdown.

    Args:
        text: any text; its line breaks become spaces.

    Returns:
        The text between as many backticks as it takes.
    """
    line = " ".join(text.split())
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """Format any text as a block of code in Markdown.

    Args:
        text: any text.
        language: for the colours, such as ``yaml``.

    Returns:
        The block, without a line break at its end.
    """
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"
