"""``cme doctor``: check this machine, and say how to fix what does not work."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json
from cme.cli.tables import show_table
from cme.errors import UsageError, unknown

if TYPE_CHECKING:
    from cme.api.checks import DataCheckup

__all__ = ["doctor"]


@verb("doctor", epilog="Example: cme doctor data --source mirror/")
def doctor(
    what: Annotated[
        str | None,
        typer.Argument(help="data checks splits, columns, rows and commit of every dataset.", show_default=False),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Source to check: mini or a mirror. With data: hub (default) or a mirror."),
    ] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="With data: cme-22 (default), cme-r or all.")] = None,
    as_json: Json = False,
) -> None:
    """Check the installation, or a source of datasets.

    Checks versions, sources and the base model. With 'data' it checks every dataset of a source. The exit code is 1 if
    something that CME needs is missing or wrong. Row counts that differ from the published ones are reported, but
    they are not an error, because a mirror may hold a sample.
    """
    import cme

    if what is not None:
        if what != "data":
            raise unknown("argument of doctor", what, ["data"])
        _show_data(cme.doctor_data(source=source or "hub", suite=suite), as_json=as_json)
        return
    if suite is not None:
        raise UsageError("--suite is for 'cme doctor data'. Leave it out, or add data.")
    checkup = cme.doctor(source=source)
    if as_json:
        emit_json([{"what": what, "state": state, "detail": detail} for what, state, detail in checkup.checks])
    else:
        show_table(["what", "state", "detail"], checkup.checks)
    if not checkup.ok:
        raise typer.Exit(1)


def _show_data(checkup: "DataCheckup", *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        emit_json([asdict(item) for item in checkup.surveys])
    else:
        columns = ["dataset", "state", "commit", "fixed by", "splits", "columns", "train rows", "eval rows"]
        rows = [
            [
                item.dataset,
                item.state,
                item.revision[:12],
                item.pinning,
                ", ".join(item.splits),
                len(item.columns),
                _of(item.rows, item.published, "train"),
                _of(item.rows, item.published, "eval"),
            ]
            for item in checkup.surveys
        ]
        show_table(columns, rows)
        for problem in checkup.problems:
            note(problem)
        if different := sum(bool(item.warnings) for item in checkup.surveys):
            note(
                f"{different} datasets differ from their published number of rows. "
                "The source may hold a sample, or the hub may have changed."
            )
    if not checkup.ok:
        raise typer.Exit(1)


def _of(rows: Mapping[str, int], published: Mapping[str, int], kind: str) -> str:
    return f"{rows.get(kind, 0):,} of {published[kind]:,}" if kind in published else ""
