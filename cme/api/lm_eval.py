"""lm-eval's own command line, with CME's adapter methods registered in PEFT and CME's tasks included."""

from collections.abc import Sequence

from cme.api.call import public
from cme.errors import UsageError

__all__ = ["run_lm_eval"]


@public
def run_lm_eval(arguments: Sequence[str]) -> None:
    """Run lm-eval's own command line with CME's methods and tasks: ``cme lm-eval``.

    lm-eval's Python function `simple_evaluate` supports CME's methods as soon as cme is imported. Give its `TaskManager` the
    folder that `tasks_path` returns.

    Args:
        arguments: the arguments that follow ``lm_eval`` on a command line.

    Raises:
        CMEError: if there are no arguments.

    Example:
        >>> cme.run_lm_eval(["run", "--model", "hf", "--tasks", "cme_qqp"])  # doctest: +SKIP
    """
    import sys

    from cme.paths import tasks_dir

    words = list(arguments)
    if not words:
        raise UsageError(
            "lm-eval needs arguments. Example: cme lm-eval run --model hf --model_args pretrained=BASE --tasks cme_qqp"
        )
    if words[0] in ("run", "ls", "validate") and "--include_path" not in words:
        words += ["--include_path", str(tasks_dir())]
    from lm_eval.__main__ import cli_evaluate

    before, sys.argv = sys.argv, ["lm_eval", *words]
    try:
        cli_evaluate()
    finally:
        sys.argv = before
