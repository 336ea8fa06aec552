"""``cme build-data``: the training mix."""

from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import AllowMissing, Datasets, Json, NewFolder, SourceName, names
from cme.cli.tables import show_table

__all__ = ["build_data"]


@verb("build-data", epilog="Example: cme build-data --source mini --size 2000 --out mix/")
def build_data(
    out: NewFolder,
    source: SourceName = "hub",
    size: Annotated[
        int | None, typer.Option("--size", min=1, help="Training rows. Default: all that are left.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the row order and of the paraphrases.")] = 0,
    datasets: Datasets = None,
    mixing: Annotated[
        str, typer.Option("--mixing", help="How rows are shared out: proportional (capped).")
    ] = "proportional",
    paraphrase_share: Annotated[
        float, typer.Option("--paraphrase-share", min=0, max=1, help="Share of rows with a paraphrased instruction.")
    ] = 0.5,
    allow_missing: AllowMissing = False,
    as_json: Json = False,
) -> None:
    """Build the training mix.

    Normalised, without duplicates and evaluation rows, capped, in a fixed order; Parquet with a manifest and a card. Run again
    after an interruption, it continues.
    """
    from cme.mix import BuildSettings, build

    manifest = build(
        BuildSettings(
            source=source,
            out=out,
            size=size,
            seed=seed,
            datasets=names(datasets),
            mixing=mixing,
            paraphrase_share=paraphrase_share,
            allow_missing=allow_missing,
        )
    )
    if as_json:
        from dataclasses import asdict

        emit_json(asdict(manifest))
        return
    columns = ["dataset", "read", "dropped", "conflicting", "duplicates", "leaks", "validation", "training rows"]
    rows = [
        [
            name,
            d.read,
            sum(d.dropped.values()),
            d.conflicting,
            d.duplicates,
            sum(d.leaks.values()),
            d.validation,
            d.rows,
        ]
        for name, d in manifest.datasets.items()
    ]
    show_table(columns, rows)
    cap = "nothing was capped" if manifest.cap is None else f"at most {manifest.cap:,} rows per dataset"
    note(
        f"{manifest.rows:,} training rows ({cap}) in {out}; counts in {out / 'manifest.json'}, card in {out / 'README.md'}"
    )
