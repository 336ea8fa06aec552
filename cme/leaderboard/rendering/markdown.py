"""GitHub Markdown output. Columns are aligned, so that a changed number changes one line."""

from collections.abc import Sequence

from cme.leaderboard.entries.escape import for_markdown
from cme.leaderboard.rendering.section import Section, Table

__all__ = ["markdown", "table"]


def markdown(title: str, sections: Sequence[Section]) -> str:
    """Render a page of sections."""
    blocks = [f"# {for_markdown(title)}\n"]
    for section in sections:
        if section.title:
            blocks.append(f"{'#' * section.level} {for_markdown(section.title)}\n")
        if section.paragraph:
            blocks.append(f"{for_markdown(section.paragraph)}\n")
        if section.source:
            blocks.append(f"<{section.source}>\n")
        if section.table:
            blocks.append(table(section.table))
        if section.bullets:
            blocks.append("".join(f"- {for_markdown(sentence)}\n" for sentence in section.bullets))
    return "\n".join(blocks)


def table(content: Table) -> str:
    """Render one table."""
    lines = [[for_markdown(cell) for cell in line] for line in (content.header, *content.rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(content.header))]
    rule = ["-" * width if column in content.text else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    for line in lines:
        line[:] = [
            cell.ljust(width) if column in content.text else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:])) + "\n"
