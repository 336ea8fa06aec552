"""What the steps of a board read from outside: the source of the rows, a mix that exists, and a text for retention."""

from collections.abc import Iterable
from pathlib import Path

from cme.board.board import Board
from cme.board.step import Step
from cme.data.sources import open_source
from cme.errors import UsageError
from cme.mix import read_manifest

__all__ = ["check_inputs"]


def check_inputs(board: Board, steps: Iterable[Step]) -> None:
    """Refuse to run steps if something does not exist that they read.

    Args:
        board: the board.
        steps: the steps to run.

    Raises:
        UsageError: the source, the mix or the text does not exist, or ``out`` is a file.
    """
    kinds, file = {step.kind for step in steps}, board.file
    if board.out.exists() and not board.out.is_dir():
        raise UsageError(f"out is {str(board.out)!r}, which is a file. Give a folder in {board.path}.")
    if kinds & {"mix", "result", "analysis", "export"} and file.source != "hub":
        open_source(file.source)
    if file.mix.folder and kinds & {"rate", "grid", "run", "export"} and not (board.mix / "manifest.json").is_file():
        raise UsageError(
            f"mix is {file.mix.folder!r}, which is not the folder of a mix. Build it with cme build-data, or give its settings "
            f"in {board.path}."
        )
    if file.mix.folder and file.rates and "rate" in kinds and not read_manifest(board.mix).validation_rows:
        raise UsageError(
            f"mix is {file.mix.folder!r}, which has no validation rows to choose the learning rate. Build it with "
            "cme build-data --validation-share 0.01, or leave out rates."
        )
    if file.mix.folder and "export" in kinds and not read_manifest(board.mix).validation_rows:
        raise UsageError(
            f"mix is {file.mix.folder!r}, which has no validation rows from which the exports are computed. Build it with "
            "cme build-data --validation-share 0.01, or leave out exports."
        )
    text = file.retention_text if file.retention or "export" in kinds else None
    if kinds & {"result", "export"} and text and not Path(text).expanduser().is_file():
        raise UsageError(f"retention_text is {text!r}, which does not exist. Give a text file in {board.path}.")
