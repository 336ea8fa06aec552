"""The files of row ids of a board whose rows come from a folder, so that people without the folder can take the same rows."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cme.board.board import Board
from cme.board.files import damage_reported, read_mapping
from cme.board.step import Step

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
        yield _step("ids/mix", board, MIX_IDS, board.mix, () if file.mix.folder else ("mix",))
    if file.ids is None:
        row = next(iter(board.methods)).name
        entry = board.out / board.bases[0].prefix / "entries" / f"{row}.json"
        yield _step("ids/evaluation", board, EVALUATION_IDS, entry, (f"{board.bases[0].prefix}entries/{row}",))


def _step(name: str, board: Board, file: str, of: Path, needs: tuple[str, ...]) -> Step:
    out = board.out / file
    return Step(name, "ids", ("ids", str(of), "--out", str(out)), out, needs, parts={"of": (of,)})


def ids_problem(step: Step) -> str | None:
    """Describe why a file of row ids has to be written (again); None if it is that of the mix or of the entry.

    A file of the mix counts without the mix, because this may lie on another machine.

    Args:
        step: the step.

    Raises:
        CMEError: the file, the manifest of the mix or the entry is damaged.
    """
    from cme.records.ids import read_ids_head

    if not step.out.is_file():
        return "missing"
    head, (of,) = read_ids_head(step.out), step.parts["of"]
    if step.name == "ids/mix":
        if head.mix is None:
            return "not that of a mix"
        manifest = of / "manifest.json"
        there = read_mapping(manifest).get("fingerprint") if manifest.is_file() else head.mix.manifest.fingerprint
        return None if there == head.mix.manifest.fingerprint else "of another mix"
    if head.evaluation is None:
        return "not that of an evaluation"
    if not of.is_file():
        return None
    with damage_reported(of):
        wanted = _evaluated(read_mapping(of))
    own = head.evaluation.plain() | {"missing": list(head.evaluation.missing)}
    return None if all(own[key] == value for key, value in wanted.items()) else "of another evaluation"


def _evaluated(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file of the row ids of an entry must say about them."""
    return {
        "tier": entry["tier"],
        "source": entry["source"],
        "task_fingerprints": entry["task_fingerprints"],
        "counts": {item["dataset"]: item["n"] for item in entry["scores"]["datasets"]},
        "missing": list(entry["runs"][0]["provenance"].get("missing") or ()),
    }
