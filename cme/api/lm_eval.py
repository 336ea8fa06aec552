"""lm-eval's own command line, with CME's adapter methods registered in PEFT and CME's tasks included."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cme.api.call import public
from cme.errors import CMEError, UsageError

__all__ = ["run_lm_eval"]

_WITH_TASKS = ("run", "ls", "validate")


@public
def run_lm_eval(arguments: Sequence[str]) -> None:
    """Run lm-eval's own command line with CME's methods and tasks: ``cme lm-eval``.

    lm-eval's Python function `simple_evaluate` supports CME's methods as soon as cme is imported. Give its `TaskManager` the
    folder that `tasks_path` returns.

    Args:
        arguments: the arguments that follow ``lm_eval`` on a command line. An ``--include_path`` among them, or in the file of
            ``--config``, takes the place of CME's tasks.

    Raises:
        CMEError: if there are no arguments.

    Example:
        >>> cme.run_lm_eval(["run", "--model", "hf", "--tasks", "cme_qqp"])  # doctest: +SKIP
    """
    import sys

    words = list(arguments)
    if not words:
        raise UsageError(
            "lm-eval needs arguments. Example: cme lm-eval run --model hf --model_args pretrained=BASE --tasks cme_qqp"
        )
    words = _with_tasks(words)
    from lm_eval.__main__ import cli_evaluate

    before, sys.argv = sys.argv, ["lm_eval", *words]
    try:
        cli_evaluate()
    finally:
        sys.argv = before


def _with_tasks(words: list[str]) -> list[str]:
    """Add the folder of CME's tasks, unless the arguments or their configuration file name a folder of tasks.

    lm-eval takes one such folder, and the last one counts. Without a subcommand, its first argument is an option of ``run``.
    """
    from cme.paths import tasks_dir

    if len(words) < 2 or not (words[0] in _WITH_TASKS or words[0].startswith("-")):
        # lm-eval prints its help, or an error.
        return words
    # lm-eval also uses argparse, which takes --include_path=DIR and shortened names.
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--include_path")
    parser.add_argument("--config", "-C")
    try:
        given, _ = parser.parse_known_args(words)
    except argparse.ArgumentError:
        # An option lacks its value, which lm-eval reports.
        return words
    if given.include_path is not None or (given.config is not None and _names_tasks(Path(given.config))):
        return words
    return [*words, "--include_path", str(tasks_dir())]


def _names_tasks(config: Path) -> bool:
    """Return whether a configuration file of lm-eval names a folder of tasks. lm-eval itself reports a bad file."""
    from cme.readers.yaml_file import read_yaml

    try:
        values = read_yaml(config, str(config))
    except CMEError:
        return False
    return isinstance(values, dict) and values.get("include_path") is not None
