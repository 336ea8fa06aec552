"""The application that every verb registers with, and what happens to errors.

Exit codes: 0 done; 1 the data, the adapter or the world is at fault; 2 the command asks for something that does not exist or
does not fit; 130 interrupted (what was finished is kept).
"""

import functools
import json
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import typer
import typer.core

from cme.env import is_first_process
from cme.errors import CMEError, outdated_calls_ignored
from cme.terminal import harmless, safe_stdout

__all__ = ["EARLIER", "app", "emit_json", "note", "standalone", "verb"]

F = TypeVar("F", bound=Callable[..., Any])

EARLIER = {
    "--wording": "--prompt-variant",
    "--spread": "--prompt-variants",
    "--paraphrase": "--prompt-variants",
    "--paraphrase-share": "--prompt-variant-share",
    "--gate": "--decontamination",
    "--no-gate": "--no-decontamination",
}
"""Options under the names that earlier versions gave them. They work, and ``--help`` does not show them."""

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


class _Command(typer.core.TyperCommand):
    """A command that also takes the earlier names of its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {name for option in self.params for name in (*option.opts, *option.secondary_opts)}
        end = args.index("--") if "--" in args else len(args)
        for place, word in enumerate(args[:end]):
            name, equals, value = word.partition("=")
            if name not in known and EARLIER.get(name) in known:
                args[place] = f"{EARLIER[name]}{equals}{value}"
        return super().parse_args(ctx, args)


def verb(name: str, *, to: typer.Typer = app, **options: Any) -> Callable[[F], F]:
    """Register a command whose own errors end in one message and an exit code, not in a traceback."""

    def register(function: F) -> F:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                with outdated_calls_ignored(), safe_stdout():
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

        to.command(name, cls=_Command, **options)(guarded)
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
