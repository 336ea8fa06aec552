"""The adapter's README.md says how to load it: without ``import cme``, PEFT does not know the method."""

from pathlib import Path

from cme.files import write_text
from cme.paths import DISTRIBUTION
from cme.templates import render_markdown

__all__ = ["complete_card", "loading"]

_TEMPLATE = Path(__file__).parent / "templates" / "loading.md.j2"
_LINE = "import cme"


def loading(package: str | None, *, imports: str = "", base: str = "") -> str:
    """A card's section on loading the adapter, in Markdown.

    Args:
        package: the package that the method comes with; None: PEFT.
        imports: lines that import what ``base`` needs.
        base: lines that load ``base_model``.
    """
    values = {"package": package, "ours": package == DISTRIBUTION, "imports": imports, "base": base}
    return render_markdown(_TEMPLATE, values)


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
