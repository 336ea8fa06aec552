"""``cme lm-eval``: lm-eval's own command line, with CME's adapter methods known to PEFT and CME's tasks on its path."""

import sys

import typer

from cme.cli.app import verb
from cme.errors import UsageError
from cme.paths import tasks_dir

__all__ = ["lm_eval"]


@verb(
    "lm-eval",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    epilog="Example: cme lm-eval run --model hf --model_args pretrained=BASE,peft=runs/x --tasks cme_qqp --limit 8",
)
def lm_eval(context: typer.Context) -> None:
    """Run lm-eval with CME's methods and tasks.

    All arguments are passed on to lm-eval's own command line.
    """
    arguments = list(context.args)
    if not arguments:
        raise UsageError(
            "say what lm-eval shall do, such as: cme lm-eval run --model hf --model_args pretrained=BASE --tasks cme_qqp"
        )
    if arguments[0] in ("run", "ls", "validate") and "--include_path" not in arguments:
        arguments += ["--include_path", str(tasks_dir())]
    from lm_eval.__main__ import cli_evaluate

    sys.argv = ["lm_eval", *arguments]
    cli_evaluate()
