"""Evaluations of the tiny base on the mini corpus that grow row by row."""

from pathlib import Path

from cme.evaluation.settings import EvalSettings

NAMES = ("qqp", "rte", "nq_open")


def settings(base: Path, **changes) -> EvalSettings:
    """Return settings for the tiny base on three datasets of the mini corpus at tier standard."""
    values = {"base": str(base), "tier": "standard", "source": "mini", "datasets": NAMES, "threads": 1}
    return EvalSettings(**{**values, **changes})


def computed(out: Path) -> dict[str, int]:
    """Return the number of stored batches by folder of rows."""
    files = sorted(out.glob("parts/*/*/answers.*.jsonl"))
    return {str(file.parent.relative_to(out / "parts")): file.read_bytes().count(b"\n") for file in files}
