"""Inspection of a mix: rows as the model sees them, lengths and labels. Only some row groups are read."""

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
from cme.suite.suites import ALL

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["BINS", "LIMITS", "Inspection", "Lengths", "Seen", "inspect_mix"]

BINS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Upper ends of the bins of the histogram. One more bin contains longer rows."""

LIMITS = (1024, 2048, 4096)
"""Lengths for which the share of truncated rows is reported."""

_PER_DATASET = 200
_MOST_GROUPS = 16


@dataclass(frozen=True)
class Seen:
    """A row as the model sees it.

    Attributes:
        id: id of the row.
        context: everything before the answer.
        target: the answer as it follows the context.
        length: length of context, target and end-of-text token, in the unit of the inspection.
    """

    id: str
    context: str
    target: str
    length: int


@dataclass(frozen=True)
class Lengths:
    """Lengths of rows. Each dataset is weighted by its rows in the mix.

    Attributes:
        rows: number of measured rows.
        mean: weighted mean.
        median: weighted median.
        longest: maximum.
        histogram: share of the rows in each bin of `BINS`, and in the bin of longer rows.
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
    """Statistics of the training rows of a mix.

    Attributes:
        rows: number of training rows of the mix.
        looked_at: number of rows that were rendered and measured.
        counted: number of rows whose labels were counted.
        unit: unit of lengths: ``tokens``, or ``words`` without a tokenizer. A row has more tokens than words.
        examples: random rows by dataset.
        families: lengths by family.
        datasets: lengths by dataset.
        all: lengths of the whole mix.
        labels: number of rows in which each choice is correct, by choice dataset.
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
    """Inspect the training rows of a mix.

    Row groups are read in random order until 200 rows of every dataset were read, with at most 16 groups. The rows of a mix are
    in random order across datasets, so any group is a fair sample of it.

    Args:
        folder: the mix.
        n: number of rows of each dataset to show.
        seed: seed of the random choice of rows.
        prompt_format: one of `cme.prompt.FORMATS`.
        tokenizer: tokenizer of the base model. With None, lengths are in words, and only the format ``plain`` is possible.

    Returns:
        The statistics and the rows to show.

    Raises:
        CMEError: the folder is not a mix, has no rows, or a file is damaged.
        UsageError: the format does not exist, or it needs a tokenizer.
    """
    check_format(prompt_format, tokenizer)
    manifest = read_manifest(folder)
    sizes = {name: item.rows for name, item in manifest.datasets.items() if item.rows}
    if not sizes:
        raise CMEError(f"{folder} has no training rows. Inspect another mix, or build it again.")
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
    """Return up to ``most`` random rows of each dataset, the counts of labels in all rows read, and the number of rows read."""
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
    """Yield at most `_MOST_GROUPS` row groups of the training rows, in random order."""
    import pyarrow as pa

    advice = f"Run 'cme verify {folder}' to list all problems of the mix."
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
    """Add the correct choices of the rows of a table to the counts."""
    import pyarrow.compute as pc

    choices = (
        table.filter(pc.is_valid(table["choices"])).group_by(["dataset", "output"]).aggregate([("output", "count")])
    )
    for row in choices.to_pylist():
        labels[row["dataset"]][row["output"]] += row["output_count"]


def _in_order(names: Iterable[str], labels: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    """Return the counts with label words in label order, including unused ones, and letters in alphabetical order."""
    known = datasets(ALL, beside=True)
    ordered = {}
    for name in names:
        if name in labels:
            words = (known[name].choices or ()) if name in known else ()
            rest = sorted(set(labels[name]) - set(words))
            ordered[name] = {label: labels[name][label] for label in (*words, *rest)}
    return ordered


def _lengths(lengths: Mapping[str, Sequence[int]], sizes: Mapping[str, int]) -> Lengths:
    """Summarise lengths. The weight of a row is the number of rows of its dataset in the mix per measured row."""
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
