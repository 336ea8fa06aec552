"""``cme lm-eval``: lm-eval's own command line, with CME's adapter methods known to PEFT and CME's tasks on its path."""

import typer

from cme.cli.app import verb

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
    import cme

    cme.run_lm_eval(context.args)
