"""Which rows stay: conflicting labels, duplicates and copies of evaluation rows go, a validation part is set aside.

Work is done on numbers: each distinct match text of the whole mix gets a code, and every step is an array operation on
codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cme.mix.collect import WorkFile
from cme.mix.hashes import keys
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Cleaned", "clean", "cut_validation"]

_LEAST_VALIDATION = 16
_MOST_VALIDATION = 0.1


@dataclass(frozen=True)
class Cleaned:
    """What is left of one dataset's training rows.

    Attributes:
        train: numbers of the rows left to train on, ascending.
        validation: numbers of the rows set aside, ascending.
        conflicting: rows whose text carries two labels in this dataset (all copies).
        duplicates: rows whose text an earlier row has, of this dataset or of an earlier one.
        leaks: rows whose text an evaluation row has, by evaluation dataset; each row counts once, for its own dataset
            if that is among them, else for the first in the suite's order.
        overlap: the same, but a row counts for every evaluation dataset it is found in; 0 is: looked for and not found.
    """

    train: "NDArray[np.int64]"
    validation: "NDArray[np.int64]"
    conflicting: int
    duplicates: int
    leaks: dict[str, int]
    overlap: dict[str, int]


def clean(
    specs: Mapping[str, DatasetSpec],
    train: Mapping[str, WorkFile],
    evaluation: Mapping[str, WorkFile],
    *,
    validation_share: float,
) -> dict[str, Cleaned]:
    """Decide for every training row whether it stays.

    Of equal rows of two datasets, the one that comes first in the suite's order keeps its row. Knowledge reasoning
    comes last, so MMLU, whose training rows were gathered from other sets, gives way to the set they came from.

    Args:
        specs: the datasets, by name.
        train: training rows of the selected datasets, in the suite's order.
        evaluation: evaluation rows of every dataset to keep clear of, in the suite's order.
        validation_share: share of each dataset's rows to set aside.
    """
    import numpy as np

    codes, found, distinct = _encode(train, evaluation)
    seen = np.zeros(distinct, dtype=bool)
    cleaned = {}
    for name, file in train.items():
        code = codes[name]
        rows = np.arange(len(code))
        conflicting = _conflicting(code, file) if specs[name].kind == "choice" else np.zeros(len(code), dtype=bool)
        rows = rows[~conflicting]
        first = np.zeros(len(code), dtype=bool)
        first[rows[np.unique(code[rows], return_index=True)[1]]] = True
        first &= ~seen[code]
        duplicates = len(rows) - int(first.sum())
        rows = rows[first[rows]]
        seen[code[rows]] = True
        leaks: dict[str, int] = {}
        leaked = np.zeros(len(rows), dtype=bool)
        overlap = {}
        for other in sorted(evaluation, key=lambda other: other != name):
            hit = found[other][code[rows]]
            overlap[other] = int(hit.sum())
            if fresh := int((hit & ~leaked).sum()):
                leaks[other] = fresh
            leaked |= hit
        rows = rows[~leaked]
        aside = cut_validation(file.column("cluster"), rows, validation_share)
        cleaned[name] = Cleaned(
            train=np.setdiff1d(rows, aside, assume_unique=True),
            validation=aside,
            conflicting=int(conflicting.sum()),
            duplicates=duplicates,
            leaks=leaks,
            overlap={other: overlap[other] for other in evaluation},
        )
    return cleaned


def cut_validation(clusters: "pa.ChunkedArray", rows: "NDArray[np.int64]", share: float) -> "NDArray[np.int64]":
    """Choose the rows to set aside, by hash of their cluster.

    Clusters stay whole, so no validation question has its passage in training. The seed plays no part: a row set aside
    in one mix is trained on in no other mix of the same source and share.

    Args:
        clusters: cluster of every row of the work file.
        rows: the rows to choose from, ascending.
        share: see `BuildSettings.validation_share`.

    Returns:
        Row numbers, ascending.
    """
    import numpy as np
    import pyarrow as pa

    wanted = min(max(_LEAST_VALIDATION, round(share * len(rows))), int(_MOST_VALIDATION * len(rows)))
    if not share or not wanted:
        return rows[:0]
    encoded = clusters.combine_chunks().take(pa.array(rows)).dictionary_encode()
    member = encoded.indices.to_numpy(zero_copy_only=False)
    sizes = np.bincount(member)
    chosen = np.zeros(len(sizes), dtype=bool)
    for cluster in np.argsort(keys(encoded.dictionary.to_pylist(), "validation"), kind="stable"):
        if sizes[cluster] <= wanted:
            chosen[cluster] = True
            wanted -= sizes[cluster]
        if not wanted:
            break
    aside: NDArray[np.int64] = rows[chosen[member]]
    return aside


def _encode(
    train: Mapping[str, WorkFile], evaluation: Mapping[str, WorkFile]
) -> "tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.bool_]], int]":
    """Number the distinct match texts of the training rows.

    Returns:
        Each training row's code, by dataset; which codes each evaluation dataset holds; how many codes there are.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {name: file.column("match") for name, file in train.items()}
    whole = pa.chunked_array([chunk for column in columns.values() for chunk in column.chunks], type=_digest_type())
    encoded = whole.combine_chunks().dictionary_encode()
    every = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum([len(column) for column in columns.values()])
    codes = {name: every[end - len(column) : end] for (name, column), end in zip(columns.items(), ends, strict=True)}
    found = {}
    for name, file in evaluation.items():
        hits = pc.index_in(file.column("match"), value_set=encoded.dictionary).combine_chunks().drop_null()
        found[name] = np.zeros(len(encoded.dictionary), dtype=bool)
        found[name][hits.to_numpy(zero_copy_only=False)] = True
    return codes, found, len(encoded.dictionary)


def _digest_type() -> "pa.DataType":
    import pyarrow as pa

    from cme.data.match import DIGEST_BYTES

    return pa.binary(DIGEST_BYTES)


def _conflicting(code: "NDArray[np.int64]", file: WorkFile) -> "NDArray[np.bool_]":
    """Rows whose match text occurs with another answer in the same dataset."""
    import numpy as np

    label = file.column("gold_text").combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    order = np.argsort(code, kind="stable")
    same = code[order[1:]] == code[order[:-1]]
    differ = same & (label[order[1:]] != label[order[:-1]])
    bad = np.unique(code[order[1:][differ]])
    conflicting: NDArray[np.bool_] = np.isin(code, bad)
    return conflicting
