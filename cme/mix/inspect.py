"""A look at a mix: rows as the model sees them, lengths, labels. It reads some row groups, never the whole."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.errors import CMEError
from cme.mix.rows import example_from_row, mix_files, read_manifest
from cme.progress import bar
from cme.prompt import Rendered, check_format, encode_pair, render
from cme.readers.parquet_file import open_parquet
from cme.suite import datasets

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["BINS", "LIMITS", "Inspection", "Lengths", "Seen", "inspect_mix"]

BINS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Upper ends of the histogram's bins; one more bin holds what is longer."""

LIMITS = (1024, 2048, 4096)
"""Lengths at which the share of truncated rows is told."""

_PER_DATASET = 200
_MOST_GROUPS = 16


@dataclass(frozen=True)
class Seen:
    """A row as the model sees it.

    Attributes:
        id: the row's id.
        context: everything before the answer.
        target: the answer as it follows the context.
        length: of both together and the end-of-text token, in the inspection's unit.
    """

    id: str
    context: str
    target: str
    length: int


@dataclass(frozen=True)
class Lengths:
    """Lengths of some rows, each dataset with its weight in the mix.

    Attributes:
        rows: rows looked at.
        mean: weighted mean.
        median: weighted median.
        longest: the longest.
        histogram: share of the rows in each bin of `BINS`, and longer.
        truncated: share of the rows that are longer than each of `LIMITS`.
    """

    rows: int
    mean: float
    median: int
    longest: int
    histogram: tuple[float, ...]
    truncated: dict[int, float]


@dataclass(frozen=True)
class Inspection:
    """What a look at a mix's training rows showed.

    Attributes:
        rows: training rows in the mix.
        looked_at: rows that were rendered and measured.
        counted: rows whose labels were counted.
        unit: what lengths are in: ``tokens``, or ``words`` where there was no tokenizer (a row has more tokens than words).
        examples: random rows by dataset.
        families: lengths by family.
        datasets: lengths by dataset.
        all: lengths of the whole mix.
        labels: how often each choice is the right one, by choice dataset.
    """

    rows: int
    looked_at: int
    counted: int
    unit: str
    examples: dict[str, tuple[Seen, ...]]
    families: dict[str, Lengths]
    datasets: dict[str, Lengths]
    all: Lengths
    labels: dict[str, dict[str, int]]


def inspect_mix(
    folder: Path, *, n: int = 2, seed: int = 0, prompt_format: str = "plain", tokenizer: Any = None
) -> Inspection:
    """Look at a mix's training rows.

    Row groups are read in a random order until 200 rows of every dataset have been seen, 16 groups at most. Rows lie in
    a random order across datasets, so any group is a fair sample of the mix.

    Args:
        folder: the mix.
        n: rows of each dataset to show.
        seed: which rows are looked at and shown.
        prompt_format: one of `cme.prompt.FORMATS`.
        tokenizer: the base's; None: lengths are in words (``plain`` only).

    Raises:
        CMEError: the folder is no mix, has no rows, or a file is damaged.
        UsageError: no such format, or it needs a tokenizer.
    """
    check_format(prompt_format, tokenizer)
    manifest = read_manifest(folder)
    sizes = {name: item.rows for name, item in manifest.datasets.items() if item.rows}
    if not sizes:
        raise CMEError(f"{folder} has no training rows.")
    sample, labels, counted = _sample(folder, sizes, max(n, _PER_DATASET), seed)
    seen: dict[str, list[Seen]] = {}
    with bar("Measuring", total=sum(map(len, sample.values()))) as shown:
        for name, rows in sample.items():
            seen[name] = []
            for row in rows:
                text = render(example_from_row(row), prompt_format, tokenizer)
                seen[name].append(Seen(row["id"], text.context, text.target, _length(text, tokenizer)))
                shown.advance()
    lengths = {name: [item.length for item in rows] for name, rows in seen.items()}
    families = list(dict.fromkeys(item.family for name, item in manifest.datasets.items() if lengths.get(name)))
    members = {
        family: {name: lengths[name] for name in lengths if manifest.datasets[name].family == family}
        for family in families
    }
    return Inspection(
        rows=manifest.rows,
        looked_at=sum(map(len, lengths.values())),
        counted=counted,
        unit="words" if tokenizer is None else "tokens",
        examples={name: tuple(rows[:n]) for name, rows in seen.items()},
        families={family: _lengths(member, sizes) for family, member in members.items()},
        datasets={name: _lengths({name: values}, sizes) for name, values in lengths.items()},
        all=_lengths(lengths, sizes),
        labels=labels,
    )


def _length(text: Rendered, tokenizer: Any) -> int:
    if tokenizer is None:
        return len((text.context + text.target).split())
    context, target = encode_pair(tokenizer, text.context, text.target)
    return len(context) + len(target) + (target[-1:] != [tokenizer.eos_token_id])


def _sample(
    folder: Path, sizes: Mapping[str, int], most: int, seed: int
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[str, int]], int]:
    """Up to ``most`` random rows of each dataset, the labels of every row that was read, and how many rows those are."""
    import numpy as np

    draw = np.random.default_rng(seed)
    sample: dict[str, list[dict[str, Any]]] = {name: [] for name in sizes}
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    counted = 0
    for table in _groups(folder, draw):
        counted += len(table)
        _count(table, labels)
        owner = np.asarray(table["dataset"].to_pylist(), dtype=object)
        for name, rows in sample.items():
            places = np.flatnonzero(owner == name)
            chosen = draw.permutation(places)[: most - len(rows)]
            rows += table.take(chosen).to_pylist()
        if all(len(rows) >= min(most, sizes[name]) for name, rows in sample.items()):
            break
    return {name: rows for name, rows in sample.items() if rows}, _in_order(sizes, labels), counted


def _groups(folder: Path, draw: "np.random.Generator") -> Iterator["pa.Table"]:
    """Row groups of the training rows in a random order, `_MOST_GROUPS` at most."""
    import pyarrow as pa

    advice = f"Say what else is wrong with: cme verify {folder}"
    places = []
    for file in mix_files(folder, "train"):
        with open_parquet(file, error=CMEError, advice=advice) as opened:
            places += [(file, number) for number in range(opened.metadata.num_row_groups)]
    with bar("Reading", total=min(_MOST_GROUPS, len(places))) as shown:
        for place in draw.permutation(len(places))[:_MOST_GROUPS]:
            file, number = places[place]
            with open_parquet(file, error=CMEError, advice=advice) as opened:
                batches = list(opened.batches(groups=[number], size=1 << 16))
                table = pa.Table.from_batches(batches, opened.schema)
            yield table
            shown.advance()


def _count(table: "pa.Table", labels: dict[str, Counter[str]]) -> None:
    """Add the right choices of a table's rows."""
    import pyarrow.compute as pc

    choices = (
        table.filter(pc.is_valid(table["choices"])).group_by(["dataset", "output"]).aggregate([("output", "count")])
    )
    for row in choices.to_pylist():
        labels[row["dataset"]][row["output"]] += row["output_count"]


def _in_order(names: Iterable[str], labels: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    """Label words in label order, also those that were never right; letters in theirs."""
    known = datasets(beside=True)
    ordered = {}
    for name in names:
        if name in labels:
            words = (known[name].choices or ()) if name in known else ()
            rest = sorted(set(labels[name]) - set(words))
            ordered[name] = {label: labels[name][label] for label in (*words, *rest)}
    return ordered


def _lengths(lengths: Mapping[str, Sequence[int]], sizes: Mapping[str, int]) -> Lengths:
    """Sum lengths up; each row stands for as many rows as its dataset has in the mix per row looked at."""
    import numpy as np

    values = np.concatenate([np.asarray(item) for item in lengths.values()])
    weights = np.concatenate([np.full(len(item), sizes[name] / len(item)) for name, item in lengths.items()])
    weights /= weights.sum()
    order = np.argsort(values, kind="stable")
    middle = order[np.searchsorted(np.cumsum(weights[order]), 0.5 - 1e-9)]
    shares = np.bincount(np.searchsorted(BINS, values), weights=weights, minlength=len(BINS) + 1)
    return Lengths(
        rows=len(values),
        mean=float(values @ weights),
        median=int(values[middle]),
        longest=int(values.max()),
        histogram=tuple(float(share) for share in shares),
        truncated={limit: float(weights[values > limit].sum()) for limit in LIMITS},
    )
