"""The section of an adapter's README.md on loading it. PEFT knows CME's methods only after ``import cme``."""

from pathlib import Path

from cme.files import write_text
from cme.paths import DISTRIBUTION
from cme.templates import render_markdown

__all__ = ["complete_card", "loading"]

_TEMPLATE = Path(__file__).parent / "templates" / "loading.md.j2"
_LINE = "import cme"


def loading(package: str | None, *, imports: str = "", base: str = "") -> str:
    """Render the section of a card on loading the adapter, in Markdown.

    Args:
        package: The package that provides the method, or None for PEFT itself.
        imports: Lines of Python that import what ``base`` needs.
        base: Lines of Python that load ``base_model``.
    """
    values = {"package": package, "ours": package == DISTRIBUTION, "imports": imports, "base": base}
    return render_markdown(_TEMPLATE, values)


def complete_card(folder: Path, package: str = DISTRIBUTION) -> None:
    """Add the section on loading to ``README.md``, unless it has the import line. The file is created if it is missing.

    Args:
        folder: The folder of the saved adapter.
        package: The package that provides the method.
    """
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if _LINE not in text.splitlines():
        write_text(card, (text.rstrip() + "\n\n" + loading(package)).lstrip("\n"))
