"""``cme inspect``: show rows, lengths and labels of a mix."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json, PromptFormat
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from cme.mix.inspect import Inspection, Lengths

__all__ = ["inspect"]

_WIDTH = 40


@verb("inspect", epilog="Example: cme inspect mix/ --n 1")
def inspect(
    folder: Annotated[Path, typer.Argument(help="A folder that 'cme build-data' wrote.")],
    n: Annotated[int, typer.Option("--n", min=0, max=200, help="Number of rows to show per dataset.")] = 2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random sample.")] = 0,
    prompt_format: PromptFormat = "plain",
    base: Annotated[
        str | None,
        typer.Option("--base", help="Base whose tokenizer measures lengths. Default: smollm2-135m, else words."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show rows, lengths and labels of a mix.

    Rows are shown exactly as the model sees them. Lengths come from a random sample, so the command is fast for a mix
    of any size.
    """
    import cme

    inspection = cme.inspect_mix(folder, n=n, seed=seed, prompt_format=prompt_format, base=base)
    if as_json:
        from dataclasses import asdict

        from cme.mix.inspect import BINS

        emit_json({"mix": str(folder), "bins": BINS, **asdict(inspection)})
        return
    for name, rows in inspection.examples.items():
        for row in rows:
            _heading(f"── {name} · {row.id} · {row.length} {inspection.unit}")
            print(f"{row.context}{row.target}\n")
    _show_lengths(inspection)
    _show_labels(inspection.labels)
    note(
        f"{folder}: lengths come from {inspection.looked_at:,} of {inspection.rows:,} training rows, "
        f"labels from {inspection.counted:,}. Shares of families and of all rows are weighted by the rows of each dataset."
    )
    if inspection.unit == "words":
        note(
            "No tokenizer is available, so lengths are in words. A row has more tokens than words. Give --base for tokens."
        )


def _show_lengths(inspection: "Inspection") -> None:
    from cme.mix.inspect import BINS, LIMITS

    ends = [f"≤ {end:,}" for end in BINS] + [f"> {BINS[-1]:,}"]
    for family, lengths in inspection.families.items():
        _heading(
            f"{family}: {lengths.rows:,} rows, median {lengths.median:,}, mean {lengths.mean:,.0f}, "
            f"longest {lengths.longest:,} {inspection.unit}"
        )
        bins = list(zip(ends, lengths.histogram, strict=True))
        filled = [place for place, (_, share) in enumerate(bins) if share]
        _bars(dict(bins[filled[0] : filled[-1] + 1]))
        print()
    columns = ["dataset", "rows", "median", "mean", "longest", *(f"> {limit:,} {inspection.unit}" for limit in LIMITS)]
    every = {**inspection.datasets, "all": inspection.all}
    show_table(columns, [[name, *_line(lengths)] for name, lengths in every.items()])
    print()


def _line(lengths: "Lengths") -> list[str]:
    numbers = [f"{lengths.rows:,}", f"{lengths.median:,}", f"{lengths.mean:,.0f}", f"{lengths.longest:,}"]
    return [*numbers, *(f"{100 * share:.1f} %" for share in lengths.truncated.values())]


def _show_labels(labels: Mapping[str, Mapping[str, int]]) -> None:
    for name, counts in labels.items():
        total = sum(counts.values())
        _heading(f"{name}: how often each choice is the correct answer ({total:,} rows)")
        _bars({label: count / total for label, count in counts.items()})
        print()


def _heading(text: str) -> None:
    _styled((text, "bold"))


def _bars(shares: Mapping[str, float]) -> None:
    """Print one text bar per share."""
    width = max(map(len, shares))
    for label, share in shares.items():
        _styled(
            (f"  {label.rjust(width)} ", ""), ("█" * round(_WIDTH * share), "cyan"), (f" {100 * share:.1f} %", "dim")
        )


def _styled(*parts: tuple[str, str]) -> None:
    """Print a line, with colours on a terminal and without them in a pipe."""
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False).print(Text.assemble(*parts), soft_wrap=True)
