"""The adapter's README.md says how to load it: without ``import cme``, PEFT does not know the method."""

from pathlib import Path

from cme.files import write_text
from cme.paths import DISTRIBUTION

__all__ = ["complete_card", "loading"]

_LINE = "import cme"
_OWN = """\
This adapter's method comes with the package `{package}`{found}. Install it with `pip install {package}`, and import `cme`
before PEFT loads the adapter:
"""
_SECTION = """\
## Loading

{text}
```python
{imports}

{base}model = PeftModel.from_pretrained(base_model, "path/to/this/folder")
```
"""


def loading(package: str | None, *, imports: str = "", base: str = "") -> str:
    """A card's section on loading the adapter, in Markdown.

    Args:
        package: the package that the method comes with; None: PEFT.
        imports: lines that import what ``base`` needs.
        base: lines that load ``base_model``.
    """
    text = "PEFT knows this adapter's method by itself:\n"
    if package is not None:
        found = "" if package == DISTRIBUTION else ", which `cme` finds when both are installed"
        text = _OWN.format(package=package, found=found)
    lines = [_LINE] if package is not None else []
    needed = "\n".join([*lines, "from peft import PeftModel", *filter(None, [imports])])
    return _SECTION.format(text=text, imports=needed, base=base and f"{base}\n")


def complete_card(folder: Path, package: str = DISTRIBUTION) -> None:
    """Add the section on loading to ``README.md``, unless it has the import line; make the file if there is none.

    Args:
        folder: of the saved adapter.
        package: the package that the method comes with.
    """
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if _LINE not in text.splitlines():
        write_text(card, (text.rstrip() + "\n\n" + loading(package)).lstrip("\n"))
