"""Jinja templates of cards and of the page, with filters that escape untrusted text in Markdown."""

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

    Undefined names raise an error. A line that contains only a block leaves no empty line, and the final line break is kept.

    Args:
        folder: folder of the templates.
        autoescape: True for HTML. Markdown has no general escape, so its templates pass untrusted text through ``code`` or
            ``fenced``, or receive it escaped.

    Returns:
        The environment, with the filters ``code``, ``commas`` and ``fenced``.
    """
    import jinja2

    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    jinja.filters |= {"code": inline_code, "commas": "{:,}".format, "fenced": fenced}
    return jinja


def render_markdown(template: Path, values: Mapping[str, Any]) -> str:
    """Fill in a Markdown template.

    Args:
        template: file that ends in ``.md.j2``.
        values: values of the names in the template.

    Returns:
        The text.
    """
    return environment(template.parent, autoescape=False).get_template(template.name).render(values)


def inline_code(text: str) -> str:
    """Format any text as inline code in Markdown.

    Args:
        text: any text. Its line breaks become spaces.

    Returns:
        The text between as many backticks as it needs.
    """
    line = " ".join(text.split())
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """Format any text as a block of code in Markdown.

    Args:
        text: any text.
        language: language for syntax highlighting, such as ``yaml``.

    Returns:
        The block, without a final line break.
    """
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"
