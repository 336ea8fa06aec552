"""``cme params``: what an adapter adds, counted without weights."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cme.cli.adapter_options import Given, adapter_options
from cme.cli.app import emit_json, note, verb
from cme.cli.options import Base, Json
from cme.cli.tables import show_table
from cme.errors import UsageError

__all__ = ["params"]

_BASE = "smollm2-135m"


@verb("params", epilog="Example: cme params --base chinese-llama-2-7b --method teamlora --rank 16 --experts 4")
@adapter_options
def params(
    base: Base = _BASE,
    *,
    adapter: Given,
    match_params: Annotated[
        str | None,
        typer.Option(
            "--match-params",
            metavar="BUDGET",
            help="Take the largest rank of ONE expert that does not exceed a share of the base (1.35%), a number of "
            "parameters, or another method at a rank (lora:128).",
        ),
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The paper's rows on its base: counted, by formula, and as reported.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count an adapter's parameters.

    On the meta device, without weights: --base may also be a config.json, or the shape chinese-llama-2-7b.
    """
    if paper:
        if adapter or match_params or base != _BASE:
            raise UsageError(
                "--paper counts the paper's own rows on its own base: it takes no other option but --json."
            )
        _paper(as_json)
        return
    from cme.adapters.budget import match_rank
    from cme.adapters.params import SHAPES, count
    from cme.adapters.read_settings import settings_from, settings_to_mapping
    from cme.models.load import resolve_config

    values = {"method": "lora"} | adapter
    place = base if base in SHAPES else resolve_config(base)
    if match_params is None:
        settings = settings_from(values, "the command's options")
        found = count(place, settings)
    elif "rank" in values:
        raise UsageError("--rank and --match-params are both given; give one of them.")
    else:
        settings, found = match_rank(place, values, match_params)
    if as_json:
        emit_json(asdict(found) | {"adapter": settings_to_mapping(settings)})
        return
    show_table(["module", "trainable"], [[name, f"{number:,}"] for name, number in found.per_module.items()])
    print(f"\nbase {found.total_base:,} · trainable {found.trainable:,} · share {found.share_percent:.2f} %")
    if match_params is not None:
        print(f"rank {settings.rank}: the largest that does not exceed {match_params}")


def _paper(as_json: bool) -> None:
    """The rows of the paper that have a share of parameters: ours beside theirs."""
    from cme.adapters.params import count, formula_trainable, linear_shapes
    from cme.adapters.read_settings import settings_from
    from cme.leaderboard.rendering.paper import load_paper

    reported = load_paper()
    base = reported.base.lower()
    shapes = linear_shapes(base).values()
    rows = []
    for row in reported.rows:
        experts: dict[str, Any] = {} if row.experts is None else {"experts": row.experts}
        found = count(base, settings_from({"method": row.method, "rank": row.rank, **experts}))
        rows.append(
            {
                "method": row.method,
                "rank": row.rank,
                "experts": row.experts,
                "trainable": found.trainable,
                "built_percent": found.share_percent,
                "formula_percent": 100
                * formula_trainable(row.method, shapes, rank=row.rank, **experts)
                / found.total_base,
                "paper_percent": row.trainable_percent,
                "difference": found.share_percent - row.trainable_percent,
            }
        )
    if as_json:
        emit_json(rows)
        return
    cells = [
        [
            f"{value:,}" if key == "trainable" else f"{round(value, 2) + 0:.2f}" if isinstance(value, float) else value
            for key, value in row.items()
        ]
        for row in rows
    ]
    show_table(["method", "rank", "experts", "trainable", "built %", "formula %", "paper %", "difference"], cells)
    note(f"{reported.base}, {reported.adapted}; share of the base's {found.total_base:,} parameters")
