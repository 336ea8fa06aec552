"""``cme ls``: what there is."""

from typing import Annotated

import typer

from cme.cli.app import emit_json, verb
from cme.cli.options import Json
from cme.cli.tables import is_number, show_table
from cme.errors import unknown

__all__ = ["ls"]


@verb("ls", epilog="Example: cme ls datasets --json")
def ls(
    what: Annotated[str, typer.Argument(help="families, datasets, baselines, tiers, methods or recipes")] = "datasets",
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table, as the README has it.")] = False,
) -> None:
    """List datasets, methods, recipes and so on."""
    listings = {
        "families": _families,
        "datasets": _datasets,
        "baselines": _baselines,
        "tiers": _tiers,
        "methods": _methods,
        "recipes": _recipes,
    }
    if what not in listings:
        raise unknown("listing", what, listings)
    columns, rows = listings[what]()
    if as_json:
        emit_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    cells = [[", ".join(v) if isinstance(v, list) else v for v in row] for row in rows]
    if not markdown:
        show_table(columns, cells)
        return
    from cme.leaderboard.rendering.markdown import table
    from cme.leaderboard.rendering.section import Table

    lines = [["" if value is None else str(value) for value in row] for row in cells]
    words = [column for column in range(len(columns)) if not all(is_number(line[column]) for line in lines)]
    print(table(Table(tuple(columns), tuple(map(tuple, lines)), frozenset(words))), end="")


_Listing = tuple[list[str], list[list[object]]]


def _families() -> _Listing:
    from cme.suite import datasets
    from cme.suite.families import FAMILIES

    rows: list[list[object]] = []
    for family in FAMILIES:
        members = [spec for spec in datasets().values() if spec.family == family]
        rows.append([family, [spec.name for spec in members], sorted({spec.primary_metric for spec in members})])
    return ["family", "datasets", "metric"], rows


def _datasets() -> _Listing:
    from cme.suite import datasets

    columns = ["family", "dataset", "hub id", "train rows", "eval rows", "answer", "metric", "chance", "licence"]
    rows: list[list[object]] = [
        [
            spec.family,
            spec.name,
            spec.hub_id,
            f"{spec.rows['train']:,}",
            f"{spec.rows['eval']:,}",
            f"{spec.options} {'words' if spec.choices else 'letters'}" if spec.options else "free text",
            spec.primary_metric,
            f"{100 * spec.chance:.1f}",
            spec.licence,
        ]
        for spec in datasets().values()
    ]
    return columns, rows


def _baselines() -> _Listing:
    from cme.suite import datasets
    from cme.suite.baselines import BASELINES, covered

    rows: list[list[object]] = []
    for name, what in BASELINES.items():
        specs = covered(name)
        few = ", ".join(spec.name for spec in specs)
        many = "all" if specs == list(datasets().values()) else "all with options"
        rows.append([name, what, len(specs), few if len(specs) < 5 else many])
    return ["baseline", "what it answers", "datasets", "which"], rows


def _tiers() -> _Listing:
    from cme.suite.tiers import TIERS

    uses = {
        "smoke": "does it run? no standard error",
        "quick": "a first look",
        "standard": "comparisons",
        "full": "everything there is",
    }
    return ["tier", "rows per dataset", "for"], [[tier, rows or "all", uses[tier]] for tier, rows in TIERS.items()]


def _methods() -> _Listing:
    from cme.adapters.methods import METHODS

    return ["method", "what it is", "source"], [[m.name, m.summary, m.citation] for m in METHODS.values()]


def _recipes() -> _Listing:
    from cme.paths import leaderboards_dir
    from cme.training import recipes

    rows: list[list[object]] = []
    for name in recipes():
        file = leaderboards_dir() / "recipes" / f"{name}.yaml"
        first = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("#").strip()
        rows.append([file.stem, first, str(file)])
    return ["recipe", "what it is", "file"], rows
