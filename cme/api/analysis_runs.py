"""Compares the experts of several runs: of other seeds, methods, or mixes."""

import csv
import io
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from cme.adapters.routed.gates import routed_layers
from cme.analysis.run_similarity import COLUMNS, RunSimilarity, run_similarity
from cme.analysis.similarity import expert_matrices
from cme.errors import CMEError
from cme.evaluation.adapters import AdapterSwitcher, resolve_adapter
from cme.evaluation.settings import EvalSettings
from cme.files import write_text
from cme.mix.rows import read_manifest
from cme.models.load import load_model, resolve_base
from cme.progress import bar
from cme.records import Run
from cme.training.mix_rows import own_run

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SIMILARITY", "compare_runs", "differences", "write_similarity"]

SIMILARITY = "run-similarity.csv"
"""Name of the file with the similarity of all pairs of runs."""


def compare_runs(settings: Sequence[EvalSettings], names: Sequence[str]) -> list[RunSimilarity]:
    """Compare the experts of each pair of runs. Pairs without layers of the same sizes are left out.

    Args:
        settings: settings with the adapter of each run and the same base.
        names: names of the runs.
    """
    folders = [resolve_adapter(item.adapter or "") for item in settings]
    first = settings[0]
    switcher = AdapterSwitcher(
        lambda: load_model(resolve_base(first.base), dtype="float32", device="cpu"), several=True
    )
    matrices: list[dict[str, tuple[Tensor, Tensor]]] = []
    pairs = list(combinations(range(len(folders)), 2))
    with bar("Similarity of runs", total=len(folders) + len(pairs)) as shown:
        for folder in folders:
            layers = routed_layers(switcher.attach(folder))
            weights = {path: expert_matrices(layer) for path, layer in layers.items() if "default" in layer.plans}
            matrices.append({path: (down.float(), up.float()) for path, (down, up) in weights.items()})
            shown.advance()
        records = [own_run(folder) for folder in folders]
        compared = []
        for one, other in pairs:
            text = differences(records[one], records[other])
            compared.append(run_similarity((names[one], names[other]), matrices[one], matrices[other], text))
            shown.advance()
    return [item for item in compared if item is not None]


def differences(first: Run | None, second: Run | None) -> str:
    """Return what differs between two runs: method, families or other mix, settings, and seed.

    Args:
        first: record of a run; None if it has none.
        second: record of the other run.
    """
    if first is None or second is None:
        return "unknown"
    texts = []
    if first.method != second.method:
        texts.append(f"method ({first.method}, {second.method})")
    if first.mix_fingerprint != second.mix_fingerprint:
        families = [_families(run) for run in (first, second)]
        known = families[0] and families[1] and families[0] != families[1]
        texts.append(f"families ({families[0]}; {families[1]})" if known else "mix")
    if first.adapter != second.adapter and first.method == second.method:
        texts.append("adapter settings")
    if _recipe(first) != _recipe(second):
        texts.append("training settings")
    if first.training.seed != second.training.seed:
        texts.append(f"seed ({first.training.seed}, {second.training.seed})")
    return ", ".join(texts) or "nothing"


def write_similarity(path: Path, rows: Sequence[RunSimilarity]) -> None:
    """Write the table as CSV.

    Args:
        path: the file.
        rows: the pairs.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.cells for row in rows)
    write_text(path, text.getvalue())


def _recipe(run: Run) -> dict[str, object]:
    apart = ("data", "base", "seed", "save_every", "keep_checkpoints", "logging_steps", "threads")
    return {name: value for name, value in run.training.plain().items() if name not in apart}


def _families(run: Run) -> str:
    """Return the families of the mix of a run, or nothing if the mix is not at hand."""
    try:
        manifest = read_manifest(Path(run.training.data or "").expanduser())
    except CMEError:
        return ""
    if manifest.fingerprint != run.mix_fingerprint:
        return ""
    return ", ".join(sorted({item.family for item in manifest.datasets.values() if item.rows}))
