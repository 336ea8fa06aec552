"""``cme lm-eval``: lm-eval's own command line, with CME's adapter methods registered in PEFT and CME's tasks included."""

import typer

from cme.cli.app import verb

__all__ = ["lm_eval"]


@verb(
    "lm-eval",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    epilog="Example: cme lm-eval run --model hf --model_args pretrained=BASE,peft=runs/x --tasks cme_qqp --limit 8",
)
def lm_eval(context: typer.Context) -> None:
    """Run lm-eval with CME's adapter methods and tasks.

    All arguments are passed to lm-eval's own command line. For its options: cme lm-eval run --help
    """
    import cme

    cme.run_lm_eval(context.args)
