"""``cme download``: fetch the hub's files into a folder that works offline."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Datasets, Json, Suite
from cme.cli.tables import show_table

__all__ = ["download"]


@verb("download", epilog="Example: cme download --out mirror/ --datasets qqp,arc")
def download(
    out: Annotated[Path, typer.Option("--out", help="Mirror folder; existing files are not downloaded again.")],
    suite: Suite = None,
    datasets: Datasets = None,
    splits: Annotated[str, typer.Option("--splits", help="Comma-separated: train, eval or both.")] = "train,eval",
    update_lock: Annotated[
        bool, typer.Option("--update-lock", help="Update cme.lock to the hub's current commits first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Download the suite's files from the hub into a folder.

    Afterwards, other commands read the folder with --source DIR, without a network. Run the same command again after
    an interruption to continue. The commits are looked up once and stored in cme.lock (CME_LOCK may name another
    file) and in the folder. A gated dataset needs HF_TOKEN or 'hf auth login'.
    """
    import cme

    mirror = cme.download(out, suite=suite, datasets=datasets, splits=splits, update_lock=update_lock)
    if as_json:
        emit_json(
            {
                "out": str(out),
                "splits": [asdict(item) for item in mirror.splits],
                "problems": mirror.problems,
                "warnings": mirror.warnings,
            }
        )
    else:
        rows = [
            [item.dataset, item.split, item.revision[:12], item.files, f"{item.size / 1e6:,.1f}", item.fetched]
            for item in mirror.splits
        ]
        show_table(["dataset", "split", "commit", "files", "MB", "fetched"], rows)
    for item in mirror.surveys:
        for warning in item.warnings:
            note(f"cme: warning: {item.dataset}: {warning}")
        for problem in item.problems:
            note(f"cme: {item.dataset} is {item.state}: {problem}")
    files, fetched = sum(item.files for item in mirror.splits), sum(item.fetched for item in mirror.splits)
    note(f"{out} has {files:,} files, of which {fetched:,} were fetched now. Use it with --source {out}.")
    if not mirror.ok:
        raise typer.Exit(1)
