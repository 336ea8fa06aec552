"""The application that every verb registers with, and what happens to errors.

Exit codes: 0 done; 1 the data, the adapter or the world is at fault; 2 the command asks for something that does not exist or
does not fit; 130 interrupted (what was finished is kept).
"""

import functools
import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import typer

from cme.env import is_first_process
from cme.errors import CMEError
from cme.terminal import harmless, safe_stdout

__all__ = ["app", "emit_json", "note", "standalone", "verb"]

F = TypeVar("F", bound=Callable[..., Any])

_PATIENCE = 10.0
"""Seconds that torchrun's other processes give the first one to tell an error, and torchrun to end them after that."""

app = typer.Typer(
    name="cme",
    help="CME: the multi-task benchmark for parameter-efficient adapters.",
    epilog="Start with: cme doctor   ·   the whole line in one go: make demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def verb(name: str, *, to: typer.Typer = app, **options: Any) -> Callable[[F], F]:
    """Register a command whose own errors end in one message and an exit code, not in a traceback."""

    def register(function: F) -> F:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            # peft 0.21 asks transformers 5.23 for an attribute that has a new name; a user can do nothing about it.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            try:
                with safe_stdout():
                    return function(*args, **kwargs)
            except CMEError as error:
                if not is_first_process():
                    # Still alive after that, it is the only one that has failed.
                    time.sleep(_PATIENCE)
                note(f"cme: {error}")
                raise typer.Exit(error.exit_code) from None
            except KeyboardInterrupt:
                if is_first_process():
                    note("\ncme: interrupted. What was finished is kept: run the same command again to continue.")
                raise typer.Exit(130) from None

        to.command(name, **options)(guarded)
        return function

    return register


def standalone(function: Callable[..., Any], *, epilog: str) -> typer.Typer:
    """A program of one command, with the errors and exit codes of ``cme``."""
    program = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    verb(function.__name__, to=program, epilog=epilog)(function)
    return program


def note(text: str) -> None:
    """Say something to the person at the terminal (standard error)."""
    print(harmless(text), file=sys.stderr)


def emit_json(value: Any) -> None:
    """Print a JSON value for a script (standard output)."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
