"""``cme ls``: what there is."""

from typing import Annotated

import typer

from cme.cli.app import emit_json, verb
from cme.cli.options import Json
from cme.cli.tables import show_table
from cme.errors import unknown

__all__ = ["ls"]


@verb("ls", epilog="Example: cme ls datasets --json")
def ls(
    what: Annotated[str, typer.Argument(help="families, datasets, tiers, methods or recipes")] = "datasets",
    as_json: Json = False,
) -> None:
    """List datasets, methods, recipes and so on."""
    listings = {"families": _families, "datasets": _datasets, "tiers": _tiers, "methods": _methods, "recipes": _recipes}
    if what not in listings:
        raise unknown("listing", what, listings)
    columns, rows = listings[what]()
    if as_json:
        emit_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table(columns, [[", ".join(v) if isinstance(v, list) else v for v in row] for row in rows])


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

    columns = ["dataset", "family", "hub id", "parts", "answered by", "metric", "licence"]
    rows: list[list[object]] = []
    for spec in datasets().values():
        how = " / ".join(spec.choices) if spec.choices else "option letter" if spec.kind == "choice" else "free text"
        rows.append(
            [spec.name, spec.family, spec.hub_id, [p.name for p in spec.parts], how, spec.primary_metric, spec.licence]
        )
    return columns, rows


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

    rows: list[list[object]] = []
    for file in sorted((leaderboards_dir() / "recipes").glob("*.yaml")):
        first = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("#").strip()
        rows.append([file.stem, first, str(file)])
    return ["recipe", "what it is", "file"], rows
