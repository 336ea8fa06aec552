"""Removal of conflicting labels, duplicates and leaks, and selection of the validation rows.

Each distinct match text of the whole mix gets a number as its code. Every step is an array operation on codes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cme.mix.decontamination import KEPT, shares_premises
from cme.mix.work_files import MASK_COLUMNS, EvalFile, TrainFile
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Cleaned", "Overlap", "clean", "cut_validation"]

_LEAST_VALIDATION = 16
_MOST_VALIDATION = 0.1

Overlap = dict[str, dict[str, int]]
"""Number of detected training rows, by evaluation dataset and rule of decontamination."""


@dataclass(frozen=True)
class Cleaned:
    """The remaining training rows of one dataset, and the numbers of removed rows.

    Attributes:
        train: numbers of the remaining training rows, ascending.
        validation: numbers of the validation rows, ascending.
        take: sort key of every row of the dataset for the selection of rows.
        order: sort key of every row of the dataset for the order in the mix.
        conflicting: rows whose text has two labels in this dataset (all copies).
        duplicates: rows with the text of an earlier row of this dataset, or of any row of an earlier dataset.
        leaks: rows that leak an evaluation item, by evaluation dataset. Each row counts once: for its own dataset if it leaks
            an item of it, else for the first dataset in the order of the suite.
        overlap: detected rows, by evaluation dataset and rule. A row counts for every dataset and rule that detected it. A
            dataset without rules was compared, and no row was detected.
    """

    train: "NDArray[np.int64]"
    validation: "NDArray[np.int64]"
    take: "NDArray[np.uint64]"
    order: "NDArray[np.uint64]"
    conflicting: int
    duplicates: int
    leaks: dict[str, int]
    overlap: Overlap


def clean(
    specs: Mapping[str, DatasetSpec],
    train: Mapping[str, TrainFile],
    evaluation: Mapping[str, EvalFile],
    bits: Sequence[str],
    *,
    validation_share: float,
) -> dict[str, Cleaned]:
    """Decide for every training row whether it remains.

    If two datasets have equal rows, the first dataset in the order of the suite keeps its row. Knowledge reasoning comes last,
    because the training rows of MMLU were collected from other datasets.

    Args:
        specs: the datasets, by name.
        train: training rows of the selected datasets, in the order of the suite.
        evaluation: evaluation rows of all datasets to compare with, in the order of the suite.
        bits: the evaluation dataset of each bit of the masks.
        validation_share: share of the rows of each dataset to set aside for validation.

    Returns:
        The remaining rows, by dataset.
    """
    import numpy as np

    numbers = {name: file.numbers() for name, file in train.items()}
    codes, present, distinct = _encode(numbers, evaluation)
    seen = np.zeros(distinct, dtype=bool)
    earliest = np.empty(distinct, dtype=np.int64)
    cleaned = {}
    for name, table in numbers.items():
        code, spec = codes[name], specs[name]
        rows = np.arange(len(code))
        conflicting = np.zeros(len(code), dtype=bool)
        if spec.kind == "choice":
            conflicting = _conflicting(code, _column(table, "gold"))
        rows = rows[~conflicting]
        earliest[code[rows[::-1]]] = rows[::-1]
        first = (earliest[code[rows]] == rows) & ~seen[code[rows]]
        duplicates = len(rows) - int(first.sum())
        rows = rows[first]
        seen[code[rows]] = True
        masks = {rule: _column(table, column)[rows] for rule, column in MASK_COLUMNS.items()}
        leaks: dict[str, int] = {}
        leaked = np.zeros(len(rows), dtype=bool)
        overlap: Overlap = {}
        for other in sorted(evaluation, key=lambda other: other != name):
            exact = present[other][code[rows]]
            hits = {"exact": exact}
            bit = np.uint32(1 << bits.index(other)) if other in bits else np.uint32(0)
            hits |= {rule: (mask & bit) > 0 for rule, mask in masks.items()}
            if other == name and shares_premises(spec):
                for rule in ("passage", "13-gram"):
                    hits[rule + KEPT] = hits.pop(rule) & ~exact
            overlap[other] = {rule: int(hit.sum()) for rule, hit in hits.items() if hit.any()}
            hit = np.logical_or.reduce([hit for rule, hit in hits.items() if not rule.endswith(KEPT)])
            if fresh := int((hit & ~leaked).sum()):
                leaks[other] = fresh
            leaked |= hit
        rows = rows[~leaked]
        aside = cut_validation(_column(table, "cluster"), rows, validation_share)
        cleaned[name] = Cleaned(
            train=np.setdiff1d(rows, aside, assume_unique=True),
            validation=aside,
            take=_column(table, "take"),
            order=_column(table, "order"),
            conflicting=int(conflicting.sum()),
            duplicates=duplicates,
            leaks=leaks,
            overlap={other: overlap[other] for other in evaluation},
        )
    return cleaned


def cut_validation(clusters: "NDArray[np.uint64]", rows: "NDArray[np.int64]", share: float) -> "NDArray[np.int64]":
    """Choose the validation rows by a hash of their cluster.

    Clusters are not split. A long text can still be in training and validation rows of a dataset whose clusters share something
    else: those of QNLI share the question, and every row of MMLU is a cluster. The choice does not depend on the seed. A
    validation row of one mix is therefore a training row in no other mix of the same source and share.

    Args:
        clusters: hash of the cluster of every row of the dataset.
        rows: numbers of the rows to choose from, ascending.
        share: see `BuildSettings.validation_share`.

    Returns:
        Row numbers, ascending.
    """
    import numpy as np

    wanted = min(max(_LEAST_VALIDATION, round(share * len(rows))), int(_MOST_VALIDATION * len(rows)))
    if not share or not wanted:
        return rows[:0]
    # The ascending order of the hashes is a random order of the clusters.
    _, member, sizes = np.unique(clusters[rows], return_inverse=True, return_counts=True)
    chosen = np.zeros(len(sizes), dtype=bool)
    for cluster, size in enumerate(sizes):
        if size <= wanted:
            chosen[cluster] = True
            wanted -= size
        if not wanted:
            break
    aside: NDArray[np.int64] = rows[chosen[member]]
    return aside


def _column(table: "pa.Table", name: str) -> "NDArray[np.uint64]":
    values: NDArray[np.uint64] = table.column(name).to_numpy()
    return values


def _encode(
    numbers: "Mapping[str, pa.Table]", evaluation: Mapping[str, EvalFile]
) -> "tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.bool_]], int]":
    """Number the distinct match texts of the training rows.

    Returns:
        The code of each training row, by dataset; which codes each evaluation dataset contains; and the number of codes.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {name: table.column("match") for name, table in numbers.items()}
    chunks = [chunk for column in columns.values() for chunk in column.chunks]
    encoded = pa.chunked_array(chunks, type=_digest_type()).combine_chunks().dictionary_encode()
    every = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum([len(column) for column in columns.values()])
    codes = {name: every[end - len(column) : end] for (name, column), end in zip(columns.items(), ends, strict=True)}
    # All evaluation rows are looked up in one call, because each call builds a table of all training texts.
    looked_up = [file.digests() for file in evaluation.values()]
    places = pc.index_in(pa.chunked_array(looked_up, type=_digest_type()), value_set=encoded.dictionary)
    present, start = {}, 0
    for name, digests in zip(evaluation, looked_up, strict=True):
        hits = places.slice(start, len(digests)).drop_null().to_numpy()
        start += len(digests)
        present[name] = np.zeros(len(encoded.dictionary), dtype=bool)
        present[name][hits] = True
    return codes, present, len(encoded.dictionary)


def _digest_type() -> "pa.DataType":
    import pyarrow as pa

    from cme.data.match import DIGEST_BYTES

    return pa.binary(DIGEST_BYTES)


def _conflicting(code: "NDArray[np.int64]", gold: "NDArray[np.uint64]") -> "NDArray[np.bool_]":
    """Return which rows have a match text that occurs with another answer in the same dataset."""
    import numpy as np

    order = np.argsort(code, kind="stable")
    same = code[order[1:]] == code[order[:-1]]
    differ = same & (gold[order[1:]] != gold[order[:-1]])
    bad = np.unique(code[order[1:][differ]])
    conflicting: NDArray[np.bool_] = np.isin(code, bad)
    return conflicting
