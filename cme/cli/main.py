"""``cme``: the entry point, with every command registered. Nothing heavy is imported before a command runs."""

import importlib
import io
import os
import sys
import warnings
from typing import Annotated, Any

import typer

import cme
from cme.cli.app import app
from cme.env import processes, under_torchrun
from cme.errors import CMEWarning
from cme.machine import death_signal
from cme.terminal import harmless

__all__ = ["main"]

VERBS = (
    "analyse",
    "bench",
    "board",
    "build_data",
    "compare",
    "doctor",
    "download",
    "eval",
    "eval_images",
    "export_lora",
    "ids",
    "import_lm_eval",
    "inspect",
    "leaderboard",
    "lm_eval",
    "ls",
    "params",
    "plan",
    "push",
    "reproduce",
    "score",
    "show",
    "submit",
    "tasks_path",
    "train",
    "verify",
)
"""Modules of this package that register one or more verbs."""

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


_python_format = warnings.formatwarning


def _format_warning(message: Any, category: type[Warning], *place: Any, **line: Any) -> str:
    """Format CME's own warnings as one message without file and line."""
    if issubclass(category, CMEWarning):
        return harmless(f"cme: warning: {message}\n")
    return _python_format(message, category, *place, **line)


def main() -> None:
    """Entry point of the ``cme`` command."""
    if not sys.stderr.isatty():
        # Progress bars of libraries are useful on a terminal only. tqdm reads this variable when it is first imported.
        os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.formatwarning = _format_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a terminal's encoding lacks is spelled out.
        sys.stdout.reconfigure(errors="backslashreplace")
    if under_torchrun() and (ask := death_signal()):
        # torchrun's processes have sessions of their own, so a signal to its group does not reach them. If it is killed, they
        # would keep the lock of their folder.
        ask()
    if processes() == 1:
        app()
        return
    code = 0
    try:
        app()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Python's normal exit sometimes aborts the process while gloo's threads still run, and torchrun would then report a
    # finished run as failed.
    os._exit(code)
