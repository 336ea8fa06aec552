"""The application that every verb registers with, and its handling of errors.

Exit codes:
    0: the command succeeded.
    1: the data, the adapter or the environment has a problem.
    2: the command line names something that does not exist, or combines options that do not fit together.
    130: the command was interrupted. Finished work is kept.
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

_ALONE = {"--run-code": ("sandboxed", "unsandboxed")}
"""Options that can stand without a value, and their values. The first one is meant then."""

_PATIENCE = 10.0
"""Seconds that other ranks wait for rank 0 to report an error and for torchrun to stop them."""

_ORDER = (
    "doctor",
    "download",
    "build-data",
    "inspect",
    "verify",
    "push",
    "ids",
    "train",
    "params",
    "export-lora",
    "eval",
    "eval-images",
    "analyse",
    "score",
    "show",
    "compare",
    "plan",
    "lm-eval",
    "tasks-path",
    "import-lm-eval",
    "submit",
    "leaderboard",
    "board",
    "reproduce",
    "bench",
    "ls",
)
"""The commands in the order of the workflow, in which ``--help`` lists them."""


class _Group(typer.core.TyperGroup):
    """A group that lists its commands in the order of the workflow."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(
            super().list_commands(ctx), key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)
        )


app = typer.Typer(
    name="cme",
    cls=_Group,
    help="CME: the multi-task benchmark for parameter-efficient adapters.",
    epilog="'cme doctor' checks the installation. In a checkout, 'make demo' runs the whole workflow.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Command(typer.core.TyperCommand):
    """A command that also takes the earlier names of its options, and some options without their value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.completed(args))

    def completed(self, args: list[str]) -> list[str]:
        """Return the words of a command line with today's names of options and with the values that can be left out."""
        args = list(args)
        known = {name for option in self.params for name in (*option.opts, *option.secondary_opts)}
        end = args.index("--") if "--" in args else len(args)
        for place, word in enumerate(args[:end]):
            name, equals, value = word.partition("=")
            if name not in known and EARLIER.get(name) in known:
                args[place] = f"{EARLIER[name]}{equals}{value}"
            if word in known and word in _ALONE and not (place + 1 < end and args[place + 1] in _ALONE[word]):
                args[place] = f"{word}={_ALONE[word][0]}"
        return args


def verb(name: str, *, to: typer.Typer = app, **options: Any) -> Callable[[F], F]:
    """Register a command whose errors end with one message and an exit code instead of a traceback.

    Args:
        name: the verb.
        to: the application or group that gets the command.
        options: further arguments of `typer.Typer.command`, such as ``epilog``.

    Returns:
        The decorator. It returns the function unchanged.
    """

    def register(function: F) -> F:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                with outdated_calls_ignored(), safe_stdout():
                    return function(*args, **kwargs)
            except CMEError as error:
                if not is_first_process():
                    # A rank that is still alive after the wait is the only one that failed.
                    time.sleep(_PATIENCE)
                note(f"cme: {error}")
                raise typer.Exit(error.exit_code) from None
            except KeyboardInterrupt:
                if is_first_process():
                    note("\ncme: interrupted. Finished work is kept. Run the same command again to continue.")
                raise typer.Exit(130) from None

        to.command(name, cls=_Command, **options)(guarded)
        return function

    return register


def standalone(function: Callable[..., Any], *, epilog: str) -> typer.Typer:
    """Make a program of one command, with the errors and exit codes of ``cme``."""
    program = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    verb(function.__name__, to=program, epilog=epilog)(function)
    return program


def note(text: str) -> None:
    """Print a message for the user to standard error."""
    print(harmless(text), file=sys.stderr)


def emit_json(value: Any) -> None:
    """Print a JSON value for a script to standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
