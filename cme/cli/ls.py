"""``cme ls``: list datasets, methods, recipes and more."""

import sys
from typing import Annotated

import typer

from cme.cli.app import emit_json, verb
from cme.cli.options import Json
from cme.cli.tables import is_number, show_records, show_table

__all__ = ["ls"]


_EXAMPLES = """Examples:

cme ls datasets --json

cme ls datasets --suite cme-r"""


@verb("ls", epilog=_EXAMPLES)
def ls(
    what: Annotated[
        str, typer.Argument(help="What to list: suites, families, datasets, baselines, tiers, methods or recipes.")
    ] = "datasets",
    suite: Annotated[str, typer.Option("--suite", help="Suite: cme-22, cme-r or all.")] = "cme-22",
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table, as in docs/suite.md.")] = False,
) -> None:
    """List datasets, methods, recipes and other names."""
    from cme.api.listings import listing

    records = listing(what, suite)
    if as_json:
        emit_json(records)
        return
    columns, rows = list(records[0]), [list(record.values()) for record in records]
    cells = [[", ".join(v) if isinstance(v, list) else v for v in row] for row in rows]
    if not markdown:
        show = show_records if what == "methods" and sys.stdout.isatty() else show_table
        show(columns, cells)
        return
    from cme.leaderboard.rendering.markdown import table
    from cme.leaderboard.rendering.section import Table

    lines = [["" if value is None else str(value) for value in row] for row in cells]
    words = [column for column in range(len(columns)) if not all(is_number(line[column]) for line in lines)]
    print(table(Table(tuple(columns), tuple(map(tuple, lines)), frozenset(words))), end="")
