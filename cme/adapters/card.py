"""The adapter's README.md says how to load it: without ``import cme``, PEFT does not know the method."""

from pathlib import Path

from cme.files import write_text

__all__ = ["complete_card"]

_LINE = "import cme"
_SECTION = """
## Loading

This adapter's method comes with the package `{package}`{found}. Import `cme` before PEFT loads the adapter:

```python
import cme
from peft import PeftModel

model = PeftModel.from_pretrained(base_model, "path/to/this/folder")
```
"""


def complete_card(folder: Path, package: str = "cme") -> None:
    """Add the section on loading to ``README.md``, unless it has the import line; make the file if there is none.

    Args:
        folder: of the saved adapter.
        package: the package that the method comes with.
    """
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if _LINE not in text.splitlines():
        found = "" if package == "cme" else ", which `cme` finds when both are installed"
        section = _SECTION.format(package=package, found=found)
        write_text(card, (text.rstrip() + "\n" + section).lstrip("\n"))
