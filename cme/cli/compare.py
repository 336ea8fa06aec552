"""``cme compare``: paired differences of results, entries, adapters and bases."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Base, Datasets, Json, PromptFormat, Suite
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from cme.api.compare import Compared

__all__ = ["compare"]

_MOST_COLUMNS = 3

_EXAMPLES = """Examples:

cme compare results/lora results/teamlora

cme compare lora=results/lora-0,results/lora-1 leaderboards/demo/entries/base.json --until 2"""


@verb("compare", epilog=_EXAMPLES)
def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="SIDE",
            help="Result folder, entry file, adapter, base, or baseline; NAME=A,B,C for the seeds of one method.",
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            help="Stop at a half-width in points, such as 0.5; decided:0.5 stops at a decision, too.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="For models: source of the samples (hub, a mirror folder, NAME=DIR, or mini)."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option("--tier", help="For models: samples per dataset. Default: quick, or at most full with --until."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for comparison.json and the results of models; required for models."),
    ] = None,
    base: Base = "smollm2-135m",
    suite: Suite = None,
    datasets: Datasets = None,
    prompt_format: PromptFormat = "plain",
    dtype: Annotated[
        str, typer.Option("--dtype", help="For models: float32 (the reference), bfloat16, float16 or auto.")
    ] = "float32",
    device: Annotated[str | None, typer.Option("--device", help="For models: device, such as cpu or cuda:1.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="For models: CPU threads.")] = None,
    as_json: Json = False,
) -> None:
    """Compare results, entries or models pair by pair.

    Prints the paired difference of every two sides on the same samples with its interval and p-value, and whether more seeds or
    more samples would help.
    Models are evaluated first; run the same command again after an interruption. The exit code is 0 whatever differs.
    """
    import cme

    compared = cme.compare(
        list(sides), until=until, source=source, tier=tier, out=out, base=base, suite=suite, datasets=datasets,
        prompt_format=prompt_format, dtype=dtype, device=device, threads=threads,
    )  # fmt: skip
    if as_json:
        emit_json(compared.plain())
    else:
        _show(compared)
    if compared.file is not None:
        note(f"Written: {compared.file}")


def _show(compared: "Compared") -> None:
    from cme.leaderboard.ranking.numbers import estimate, interval, p_value
    from cme.leaderboard.ranking.verdicts import seed_share
    from cme.suite.suites import suite_of_families

    paired = compared.paired
    show_table(
        ["name", "seeds", suite_of_families(paired.families).average],
        [
            [side.name, len(side.runs) if side.trained else "", estimate(item)]
            for side, item in zip(paired.sides, paired.averages, strict=True)
        ],
    )
    print()
    level = f"{100 * (1 - paired.comparison.alpha):g} % interval" if paired.until is None else "interval"
    show_table(
        ["pair", f"difference [{level}]", "p", "p (Holm)", "different", "seeds' share"],
        [
            [
                f"{item.first} − {item.second}",
                interval(item.value, item.low, item.high),
                p_value(item.p),
                p_value(item.p_adjusted),
                "yes" if item.significant else "no",
                "unknown" if share is None else f"{100 * share:.0f} %",
            ]
            for item, share in ((item, seed_share(paired, item)) for item in compared.differences)
        ],
    )
    print()
    _show_families(compared)
    for text in [*compared.verdicts, *compared.notes]:
        print(f"\n{text}")


def _show_families(compared: "Compared") -> None:
    """Print the differences by family, of the pairs with the first side if there are many pairs."""
    from cme.leaderboard.ranking.numbers import interval

    first = compared.paired.sides[0].name
    pairs = list(enumerate(compared.differences))
    if len(pairs) > _MOST_COLUMNS:
        pairs = [(k, item) for k, item in pairs if item.first == first]
    rows = [
        [name, *(interval(items[k].value, items[k].low, items[k].high) for k, _ in pairs)]
        for name, items in compared.paired.families.items()
    ]
    show_table(["family", *(f"{item.first} − {item.second}" for _, item in pairs)], rows)
