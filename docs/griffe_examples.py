"""Docstrings here have an ``Example:`` section; griffe formats code only below ``Examples:``."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Rename the section of an example while the documentation is built."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rename the section in the docstring of one object."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
