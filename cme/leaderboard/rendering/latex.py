"""LaTeX output: one ``table`` for each section, for use in a paper (packages booktabs and url)."""

from collections.abc import Sequence

from cme.leaderboard.entries.escape import for_latex
from cme.leaderboard.rendering.section import Section, Table

__all__ = ["latex"]


def latex(title: str, sections: Sequence[Section]) -> str:
    """Render the tables with their paragraphs as captions. Sections without a table are left out."""
    blocks = [f"% {for_latex(title)}\n% \\usepackage[T1]{{fontenc}}\\usepackage{{booktabs,url}}\n"]
    above = ""
    for section in sections:
        above = section.title if section.level < 3 else above
        if section.table is None:
            continue
        name = f"{above}: {section.title}" if section.level > 2 else section.title or title
        source = rf" \url{{{section.source}}}" if section.source else ""
        blocks.append(_table(section.table, for_latex(f"{name}. {section.paragraph}".strip()) + source))
    return "\n".join(blocks)


def _table(table: Table, caption: str) -> str:
    import pandas as pd

    header, *rows = [[for_latex(cell) for cell in line] for line in (table.header, *table.rows)]
    columns = "".join("l" if column in table.text else "r" for column in range(len(header)))
    style = pd.DataFrame(rows, columns=header, dtype=object).style.hide(axis="index")
    return str(style.to_latex(column_format=columns, caption=caption, position_float="centering", hrules=True))
