"""``cme push``: upload a mix to the hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from cme.mix.push import Pushed

__all__ = ["push", "upload"]


@verb("push", epilog="Example: cme push mix/ --repo me/cme-mix")
def push(
    folder: Annotated[Path, typer.Argument(help="A folder that 'cme build-data' wrote.")],
    repo: Annotated[str, typer.Option("--repo", help="Dataset repository on the hub: owner/name.")],
    public: Annotated[bool, typer.Option("--public", help="Make the repository public. Default: private.")] = False,
    have_rights: Annotated[
        bool,
        typer.Option(
            "--i-have-the-rights",
            help="Confirm that you may publish datasets with non-commercial or unstated licences.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Upload a mix to the Hugging Face hub.

    Lists every licence, verifies the mix and creates a private repository by default.
    """
    pushed = upload(folder, repo, public=public, have_rights=have_rights, show=not as_json)
    if as_json:
        from dataclasses import asdict

        emit_json(asdict(pushed))


def upload(folder: Path, repo: str, *, public: bool = False, have_rights: bool = False, show: bool = True) -> "Pushed":
    """Print the licence of every dataset of a mix if ``show`` is set, then upload the mix."""
    import cme

    if show:
        _show_licences(folder)
    pushed = cme.push_mix(folder, repo, public=public, have_rights=have_rights)
    note(f"Uploaded to the {'private' if pushed.private else 'public'} repository {pushed.repository}: {pushed.url}")
    return pushed


def _show_licences(folder: Path) -> None:
    """Print the licence of every dataset in a mix, and which uses it allows."""
    from cme.mix import read_manifest
    from cme.mix.licences import uses

    manifest = read_manifest(folder)
    allowed = uses(manifest)
    rows = [[name, item.rows, item.licence, allowed[name]] for name, item in manifest.datasets.items()]
    show_table(["dataset", "training rows", "licence", "use"], rows)
