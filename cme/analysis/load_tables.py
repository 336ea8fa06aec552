"""The load of experts as a record and as the file ``load.parquet``.

| column | type | meaning |
| --- | --- | --- |
| ``dataset``, ``family``, ``subject`` | string | the rows; ``subject`` is empty for datasets without subjects |
| ``part`` | string | ``prompt`` or ``answer`` |
| ``layer`` | string | name of the layer |
| ``expert`` | int32 | number of the expert in this layer |
| ``tokens`` | int64 | number of tokens |
| ``phi``, ``gate``, ``size`` | float64 | means over the tokens of φ, of ω, and of the share in the sum of absolute values of ω |
| ``negative``, ``top_phi``, ``top_gate`` | float64 | share of tokens with a negative ω, the largest φ, or the largest ω here |
| ``entropy`` | float64 | mean entropy of φ of single tokens, in nats |
| ``confident`` | float64 | share of tokens with a φ above 0.9 |
| ``disagreement`` | float64 | share of tokens whose largest ω and φ are at different experts |

``top_phi`` and ``top_gate`` are NaN for methods whose largest gate weights tie by construction.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cme.analysis.load import PARTS, Array, Load, by_family, figures_of, joined_loads, overall
from cme.analysis.measure_load import MeasuredLoad
from cme.analysis.subjects import subject_information
from cme.files import atomic_path
from cme.readers.limits import SAMPLE_FILES
from cme.readers.parquet_file import open_parquet, read_rows
from cme.records.analysis import GroupLoad, LoadAnalysis, SubjectTest
from cme.suite import datasets
from cme.suite.suites import ALL

__all__ = ["LOAD_TABLE", "groups_of", "layer_phi", "load_analysis", "router_values", "write_load_table"]

LOAD_TABLE = "load.parquet"
"""Name of the file with the load, in the folder of an analysis."""

_PER_EXPERT = {
    "phi": "phi",
    "gate": "gates",
    "size": "size",
    "negative": "negative",
    "top_phi": "top_phi",
    "top_gate": "top_gate",
}
_PER_TOKEN = ("entropy", "confident", "disagreement")


def load_analysis(measured: Sequence[MeasuredLoad], *, permutations: int) -> LoadAnalysis:
    """Summarise the load on all datasets.

    Args:
        measured: the load of each dataset.
        permutations: number of permutations of the test of subjects.
    """
    load = joined_loads([item.load for item in measured])
    tested = next((item for item in measured if item.subjects), None)
    return LoadAnalysis(
        layers=load.layers,
        prompt=_groups(load, "prompt"),
        answer=_groups(load, "answer"),
        subjects=None if tested is None else _test(tested, permutations),
    )


def router_values(measured: Sequence[MeasuredLoad]) -> dict[str, Array]:
    """Return the mean φ of each expert over the prompts of each dataset, averaged over the layers, [k] by dataset."""
    load = joined_loads([item.load for item in measured]).by_dataset()
    means = load.mean("phi").mean(axis=1)
    return {group.dataset: means[place] for place, group in enumerate(load.groups)}


def write_load_table(path: Path, measured: Sequence[MeasuredLoad]) -> None:
    """Write ``load.parquet``.

    Args:
        path: the file.
        measured: the load of each dataset.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    load = joined_loads([item.load for item in measured])
    layers, experts = len(load.layers), load.experts
    each = layers * experts
    columns: dict[str, object] = {}
    for name in ("dataset", "family", "subject"):
        values = [getattr(group, name) for group in load.groups]
        columns[name] = np.tile(np.repeat(np.array(values, dtype=object), each), 2)
    columns["part"] = np.repeat(np.array(PARTS, dtype=object), len(load.groups) * each)
    columns["layer"] = np.tile(np.repeat(np.array(load.layers, dtype=object), experts), 2 * len(load.groups))
    columns["expert"] = np.tile(np.arange(experts, dtype=np.int32), 2 * len(load.groups) * layers)
    tokens = load.sums["tokens"].swapaxes(0, 1)
    columns["tokens"] = np.repeat(tokens.ravel(), experts).astype(np.int64)
    for column, name in _PER_EXPERT.items():
        columns[column] = np.stack([load.mean(name, part) for part in PARTS]).ravel()
    for name in _PER_TOKEN:
        columns[name] = np.repeat(np.stack([load.mean(name, part) for part in PARTS]).ravel(), experts)
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def layer_phi(path: Path, layer: str) -> dict[str, list[float]]:
    """Read the mean φ of each expert of a layer over the prompts of each subject from ``load.parquet``.

    Args:
        path: the file.
        layer: name of the layer.

    Raises:
        DataError: the file is damaged.
    """
    phi: dict[str, list[float]] = defaultdict(list)
    columns = ["subject", "part", "layer", "expert", "phi"]
    with open_parquet(path, SAMPLE_FILES, advice="It is damaged: run the analysis again.") as file:
        for batch in file.batches(columns):
            for row in read_rows(batch):
                if row["layer"] == layer and row["part"] == "prompt" and row["subject"]:
                    phi[row["subject"]].append(row["phi"])
    return dict(phi)


def _groups(load: Load, part: str) -> tuple[GroupLoad, ...]:
    by_dataset = load.by_dataset()
    suite = datasets(ALL)
    counted = by_dataset.chosen([group.dataset in suite for group in by_dataset.groups])
    with_subjects = load.chosen([bool(group.subject) for group in load.groups])
    parts = [overall(counted, part), by_family(counted, part), by_dataset, with_subjects]
    tokens = [counted.sums["tokens"], _family_tokens(counted), by_dataset.sums["tokens"], with_subjects.sums["tokens"]]
    records: list[GroupLoad] = []
    for item, count in zip(parts, tokens, strict=True):
        if not item.groups:
            continue
        place = PARTS.index(part)
        totals = count[:, place, 0].sum(keepdims=True) if item is parts[0] else count[:, place, 0]
        records += _records(item, part, totals)
    return tuple(records)


def _family_tokens(load: Load) -> Array:
    families = list(dict.fromkeys(group.family for group in load.groups))
    return np.stack(
        [load.sums["tokens"][[group.family == family for group in load.groups]].sum(axis=0) for family in families]
    )


def _records(load: Load, part: str, tokens: Array) -> list[GroupLoad]:
    means = {name: load.mean(name, part).mean(axis=1) for name in ("phi", "gates", "size")}
    return [
        GroupLoad(
            dataset=group.dataset,
            family=group.family,
            subject=group.subject,
            tokens=round(float(tokens[place])),
            phi=tuple(means["phi"][place].tolist()),
            gates=tuple(means["gates"][place].tolist()),
            size=tuple(means["size"][place].tolist()),
            **asdict(figures),
        )
        for place, (group, figures) in enumerate(zip(load.groups, figures_of(load, part), strict=True))
    ]


def _test(measured: MeasuredLoad, permutations: int) -> SubjectTest:
    test = subject_information(
        measured.phi, measured.tokens, measured.subjects, measured.clusters, permutations=permutations
    )
    return SubjectTest(
        information=test.value,
        null_mean=test.null_mean,
        corrected=test.corrected,
        share=test.corrected / math.log(measured.load.experts),
        p=test.p,
        permutations=permutations,
        by_layer=tuple(test.by_layer.tolist()),
        divergence=test.divergence,
        divergence_null=test.divergence_null,
        farthest={f"{first} / {second}": value for first, second, value in test.farthest},
        subjects=test.subjects,
        rows=test.rows,
        fewest=min(Counter(measured.subjects).values()),
    )


def groups_of(groups: Sequence[GroupLoad], kind: str) -> dict[str, GroupLoad]:
    """Return the groups of one kind by their name.

    Args:
        groups: groups of a `LoadAnalysis`.
        kind: ``"family"``, ``"dataset"`` or ``"subject"``.
    """
    finer = {"family": ("dataset",), "dataset": ("subject",), "subject": ()}[kind]
    return {
        str(getattr(item, kind)): item
        for item in groups
        if getattr(item, kind) and not any(getattr(item, other) for other in finer)
    }
