"""``cme download``: the hub's files in a folder that works offline."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Datasets, Json, names
from cme.cli.tables import show_table
from cme.errors import UsageError, unknown

__all__ = ["download"]

_KINDS = ("train", "eval")


@verb("download", epilog="Example: cme download --out mirror/ --datasets qqp,arc")
def download(
    out: Annotated[Path, typer.Option("--out", help="Mirror folder; what is there already is not fetched again.")],
    datasets: Datasets = None,
    splits: Annotated[str, typer.Option("--splits", help="Comma-separated: train, eval or both.")] = "train,eval",
    update_lock: Annotated[
        bool, typer.Option("--update-lock", help="Move cme.lock on to the hub's current commits first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch the suite's files from the hub into a mirror folder.

    Afterwards '--source DIR' works without a network. Run again after an interruption, it continues. The commits are
    looked up once and kept in cme.lock (CME_LOCK may name another file) and in the folder. A gated dataset needs
    HF_TOKEN or 'hf auth login'.
    """
    from cme import suite
    from cme.data.sources.download import download as fetch
    from cme.data.sources.lock import Lock
    from cme.data.sources.mirror import MirrorSource
    from cme.data.sources.survey import survey
    from cme.env import lock_file

    kinds = names(splits) or ()
    for kind in kinds:
        if kind not in _KINDS:
            raise unknown("split", kind, _KINDS)
    if not kinds:
        raise UsageError("--splits names nothing. Give train, eval or both.")
    wanted = names(datasets)
    specs = suite.select(wanted) if wanted else list(suite.datasets(beside=True).values())
    done = fetch(out, specs, kinds, Lock.read(lock_file()), update=update_lock)
    mirror = MirrorSource(out)
    surveys = [survey(spec, mirror, kinds) for spec in specs]
    if as_json:
        emit_json(
            {
                "out": str(out),
                "splits": [asdict(item) for item in done],
                "problems": [f"{item.dataset}: {problem}" for item in surveys for problem in item.problems],
                "warnings": [f"{item.dataset}: {warning}" for item in surveys for warning in item.warnings],
            }
        )
    else:
        rows = [
            [item.dataset, item.split, item.revision[:12], item.files, f"{item.size / 1e6:,.1f}", item.fetched]
            for item in done
        ]
        show_table(["dataset", "split", "commit", "files", "MB", "fetched"], rows)
    for item in surveys:
        for warning in item.warnings:
            note(f"cme: warning: {item.dataset}: {warning}")
        for problem in item.problems:
            note(f"cme: {item.dataset} is {item.state}: {problem}")
    fetched = sum(item.fetched for item in done)
    note(
        f"{sum(item.files for item in done):,} files in {out}, {fetched:,} of them fetched now; use it with --source {out}"
    )
    if any(item.state in ("missing", "wrong") for item in surveys):
        raise typer.Exit(1)
