"""``cme build-data``: build the training mix."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import AllowMissing, Datasets, Json, SourceName, Suite
from cme.cli.push import upload
from cme.cli.tables import show_table
from cme.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cme.mix import Checked
    from cme.records import Manifest

__all__ = ["build_data"]


_EXAMPLES = """Examples:

cme build-data --source mini --size 2000 --out mix/

cme build-data --source mini --suite cme-r --size 2000 --out mix-r/"""


@verb("build-data", epilog=_EXAMPLES)
def build_data(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Output folder. Required, except with --check-only, which writes no mix."),
    ] = None,
    source: SourceName = "hub",
    size: Annotated[
        int | None, typer.Option("--size", min=1, help="Number of training rows. Default: all available rows.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the choice of the rows and of their order.")] = 0,
    suite: Suite = None,
    datasets: Datasets = None,
    mixing: Annotated[
        str, typer.Option("--mixing", help="Shares of the datasets: proportional (capped), temperature or uniform.")
    ] = "proportional",
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Temperature of --mixing temperature, at least 1. Default: 2.")
    ] = None,
    prompt_variant_share: Annotated[
        float,
        typer.Option(
            "--prompt-variant-share", min=0, max=1, help="Share of rows whose instruction is a prompt variant."
        ),
    ] = 0.5,
    layout: Annotated[
        str, typer.Option("--format", help="Columns: alpaca (instruction, input, output) or chat (also messages).")
    ] = "alpaca",
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            help="Keep only datasets with these uses: commercial, noncommercial, unstated (comma-separated).",
        ),
    ] = None,
    decontamination: Annotated[
        bool,
        typer.Option(
            "--decontamination/--no-decontamination",
            help="Remove training rows that leak an evaluation row; else only exact copies.",
        ),
    ] = True,
    check: Annotated[
        bool,
        typer.Option("--check-only", help="Report what decontamination would remove, and write nothing."),
    ] = False,
    validation_share: Annotated[
        float,
        typer.Option(
            "--validation-share",
            min=0,
            max=0.5,
            help="Share of each dataset's rows for validation; not counted in --size.",
        ),
    ] = 0.005,
    rows_per_shard: Annotated[
        int, typer.Option("--rows-per-shard", min=1, help="Maximum number of rows per Parquet file.")
    ] = 100_000,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, help="Number of processes; it does not change the output. Default: one per CPU."
        ),
    ] = None,
    push_to_hub: Annotated[
        str | None, typer.Option("--push-to-hub", help="Upload the finished mix to this private dataset repository.")
    ] = None,
    have_rights: Annotated[
        bool,
        typer.Option(
            "--i-have-the-rights",
            help="Confirm that you may publish datasets with non-commercial or unstated licences.",
        ),
    ] = False,
    allow_missing: AllowMissing = False,
    ids: Annotated[
        Path | None,
        typer.Option(
            "--ids", help="Build the mix of this file of row ids (cme ids) again, from any source with its rows."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Build the training mix.

    The rows are normalised, deduplicated, decontaminated, capped and written in a fixed order as Parquet with a
    manifest and a card. Run the same command again after an interruption to continue.
    """
    import cme

    settings: dict[str, Any] = {
        "source": source,
        "size": size,
        "seed": seed,
        "suite": suite,
        "datasets": datasets,
        "mixing": mixing,
        "temperature": temperature,
        "prompt_variant_share": prompt_variant_share,
        "layout": layout,
        "licence": licence,
        "decontamination": decontamination,
        "validation_share": validation_share,
        "rows_per_shard": rows_per_shard,
        "workers": workers,
        "allow_missing": allow_missing,
    }
    if have_rights and push_to_hub is None:
        raise UsageError("--i-have-the-rights applies to --push-to-hub only. Leave it out, or add --push-to-hub.")
    if check:
        if ids is not None:
            raise UsageError(
                "--check-only cannot be combined with --ids, which does not decontaminate. Leave one of them out."
            )
        if push_to_hub is not None:
            raise UsageError(
                "--check-only cannot be combined with --push-to-hub, because no mix is built. Leave one of them out."
            )
        if out is not None:
            raise UsageError("--out would have no effect, because a check (--check-only) writes no mix. Leave it out.")
        _show_check(cme.check_mix(**settings), decontamination=decontamination, as_json=as_json)
        return
    if out is None:
        raise UsageError("--out is missing. Name the folder for the mix, or give --check-only.")
    manifest = cme.build_mix(out, ids=ids, **settings).manifest
    if push_to_hub is not None:
        upload(out, push_to_hub, have_rights=have_rights, show=not as_json)
    if as_json:
        emit_json(manifest.plain())
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
    note(f"Wrote {manifest.rows:,} training rows ({_shares(manifest)}) to {out}.")
    note(f"Counts: {out / 'manifest.json'}. Card: {out / 'README.md'}.")
    _note_uncompared([split for of in (manifest.unchecked or {}).values() for split in of], manifest.gate)
    if manifest.partial:
        note(
            "Of these datasets, the source has fewer evaluation rows than are published. The mix was compared only with the rows "
            f"that are there: {', '.join(manifest.partial)}"
        )
    if manifest.rebuilt is not None:
        same = manifest.rebuilt.fingerprint == manifest.fingerprint
        note(
            "The mix is bitwise identical to the first one."
            if same
            else "The mix has another fingerprint than the first one, because rows are missing or its files have other bytes."
        )


def _shares(manifest: "Manifest") -> str:
    """Describe how the rows were distributed over the datasets."""
    if manifest.temperature is not None:
        part = sum(dataset.rows < dataset.available for dataset in manifest.datasets.values())
        return f"at temperature {manifest.temperature:g}, {part} of {len(manifest.datasets)} datasets gave not all of their rows"
    most = max((dataset.rows for dataset in manifest.datasets.values()), default=0)
    return "no dataset was capped" if manifest.cap is None else f"at most {most:,} rows per dataset"


def _note_uncompared(unchecked: "Sequence[str]", decontamination: bool) -> None:
    """Say with which evaluation rows the training rows were not compared, or not by all rules."""
    if unchecked:
        note("The source lacks these evaluation splits, so they were not compared: " + ", ".join(unchecked))
    if not decontamination:
        note("Without decontamination, only training rows with the key text of an evaluation row are removed.")


def _show_check(check: "Checked", *, decontamination: bool, as_json: bool) -> None:
    if as_json:
        emit_json({"rows": check.rows, "overlap": check.overlap, "unchecked": check.unchecked})
        return
    from cme.mix.overlap import overlap_rows

    lines = [[train, other, rule, f"{rows:,}"] for train, other, rule, rows in overlap_rows(check.overlap)]
    show_table(["training rows of", "evaluation rows of", "rule", "rows"], lines)
    note(f"{sum(check.rows.values()):,} training rows would remain. Nothing was written.")
    _note_uncompared(check.unchecked, decontamination)
