"""Options of the commands of a board: which rows a mix and an evaluation have, and what a grid varies."""

import json

from cme.board.rows import Row
from cme.records.board import BoardFile
from cme.suite.baselines import covered

__all__ = ["mix_options", "row_options", "tune_options"]


def mix_options(file: BoardFile) -> list[str]:
    """Return the options of ``cme build-data`` without its output folder."""
    mix, words = file.mix, ["--source", file.source]
    for key in ("size", "seed", "mixing", "temperature", "prompt_variant_share", "validation_share", "licence", "ids"):
        if (value := getattr(mix, key)) is not None:
            words += [f"--{key.replace('_', '-')}", str(value)]
    words += ["--datasets", ",".join(mix.datasets)] if mix.datasets else []
    words += [] if mix.decontamination else ["--no-decontamination"]
    words += ["--allow-missing"] if mix.allow_missing else []
    return [*words, "--workers", str(file.threads)]


def row_options(file: BoardFile, baseline: str | None = None) -> list[str]:
    """Return the options of ``cme eval`` that choose the rows. A file of row ids determines the tier and the datasets.

    Args:
        file: the board.
        baseline: the baseline that answers. It has the datasets that it answers, and runs no programs.
    """
    words = ["--source", file.source, *(["--ids", file.ids] if file.ids else ["--tier", file.tier])]
    if file.datasets and not file.ids:
        names = [spec.name for spec in covered(baseline, file.datasets)] if baseline else file.datasets
        words += ["--datasets", ",".join(names)]
    words += ["--allow-missing"] if file.allow_missing and not file.ids else []
    return [*words, *([f"--run-code={file.run_code}"] if file.run_code and not baseline else [])]


def tune_options(row: Row) -> list[str]:
    """Return the options of ``cme train --lr-grid`` for the settings that a row's grid chooses together with the rate.

    Example:
        A row with ``tune: {rank: [8, 16]}`` has ``--tune rank=8,16``.
    """
    return [
        word for key, values in row.tune.items() for word in ("--tune", f"{key}={','.join(map(json.dumps, values))}")
    ]
