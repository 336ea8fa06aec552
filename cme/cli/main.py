"""``cme``: every verb, registered. Nothing heavy is imported before a verb runs."""

import importlib
import os
import sys
from typing import Annotated

import typer

import cme
from cme.cli.app import app

__all__ = ["main"]

VERBS = (
    "bench",
    "build_data",
    "doctor",
    "download",
    "eval",
    "inspect",
    "leaderboard",
    "lm_eval",
    "ls",
    "params",
    "push",
    "score",
    "show",
    "submit",
    "tasks_path",
    "train",
    "verify",
)
"""Modules of this room that register one verb or more."""

for _verb in VERBS:
    importlib.import_module(f"cme.cli.{_verb}")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cme {cme.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """CME: the multi-task benchmark for parameter-efficient adapters."""


def main() -> None:
    """Entry point of the ``cme`` command."""
    if not sys.stderr.isatty():
        # The libraries' bars (downloads, conversion) are for people; tqdm reads this when it is first imported.
        os.environ.setdefault("TQDM_DISABLE", "1")
    app()
