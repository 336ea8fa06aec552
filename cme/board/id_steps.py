"""The files of row ids of a board whose rows come from a folder, so that people without the folder can take the same rows."""

from collections.abc import Iterator
from pathlib import Path

from cme.board.board import Board
from cme.board.files import read_mapping
from cme.board.step import Step
from cme.suite.baselines import BASELINES

__all__ = ["EVALUATION_IDS", "MIX_IDS", "id_steps", "ids_problem"]

MIX_IDS = "mix-ids.parquet"
"""Name of the file with the ids of the mix, in the folder of the tables."""

EVALUATION_IDS = "evaluation-ids.parquet"
"""Name of the file with the ids of the evaluation rows, in the folder of the tables."""


def id_steps(board: Board) -> Iterator[Step]:
    """Make the steps that write the row ids of the mix and of the evaluation.

    The rows of the hub and of the mini corpus need no such files, and neither do those that files of row ids determine.

    Args:
        board: the board.
    """
    file = board.file
    if file.source == "hub" or file.source.partition(":")[0] == "mini":
        return
    if file.mix.ids is None:
        needs = () if file.mix.folder else ("mix",)
        yield _step("ids/mix", board, MIX_IDS, board.mix, needs)
    if file.ids is None:
        references = [name for name in file.references if name not in BASELINES]
        row = next(row for row in board.methods if row.same_as is None)
        result = "base" if "base" in references else f"{row.name}-{row.seeds[0]}"
        yield _step("ids/evaluation", board, EVALUATION_IDS, board.work / "results" / result, (f"results/{result}",))


def _step(name: str, board: Board, file: str, of: Path, needs: tuple[str, ...]) -> Step:
    out = board.out / file
    return Step(name, "ids", ("ids", str(of), "--out", str(out)), out, needs, parts={"of": (of,)})


def ids_problem(step: Step) -> str | None:
    """Describe why a file of row ids has to be written (again); None if it is that of the mix or the result.

    A file counts without the folder from which it was made, because this may lie on another machine.

    Args:
        step: the step.

    Raises:
        CMEError: the file is damaged.
    """
    from cme.records.ids import read_ids

    if not step.out.is_file():
        return "missing"
    head, (of,) = read_ids(step.out).head, step.parts["of"]
    if (of / "manifest.json").is_file():
        fingerprint = read_mapping(of / "manifest.json").get("fingerprint")
        return None if head.mix is not None and head.mix.manifest.fingerprint == fingerprint else "of another mix"
    if (of / "result.json").is_file():
        result = read_mapping(of / "result.json")
        own = head.evaluation
        wanted = (result.get("tier"), result.get("source"), result.get("task_fingerprints"))
        there = (own.tier, own.source, own.task_fingerprints) if own is not None else None
        return None if there == wanted else "of another evaluation"
    return None
