"""A decontamination with the rules of `cme.mix.decontamination` that uses Python sets, for comparison with CME.

It is as fast as sets and dictionaries allow. Word n-grams are stored as hashes, evaluation items are looked up instead of
searched, and questions are looked up by their set of words.
"""

import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cme.data.columns import needed_columns
from cme.data.example import Example
from cme.data.load import RowStream, load_examples
from cme.data.match import canonical, canonical_texts
from cme.data.sources import open_source
from cme.suite import DatasetSpec, Subset, dataset, datasets

__all__ = ["RULES", "Detected", "Item", "Key", "PlainDetector", "plain_decontamination", "with_keys"]

RULES = ("exact", "passage", "13-gram", "token-set")

_RUN, _SHARE, _MOST_ITEMS = 13, 0.5, 50
_LEAST_PASSAGE = 8
_LEAST_TOKENS, _MOST_TOKENS, _JACCARD = 5, 18, 0.9
_QUESTIONS = ("open_domain_qa",)
_SHARED_PREMISES = ("natural_language_inference", "textual_entailment")

Key = tuple[tuple[str, ...], tuple[str, ...]]
"""The key texts of an example in canonical form (see `cme.data.match.canonical_texts`)."""

Item = tuple[Example, Key]


def with_keys(spec: DatasetSpec, examples: Iterable[Example]) -> list[Item]:
    """Return the examples with their key texts. They are not timed, because the search for duplicates needs them, too."""
    keyed = []
    for example in examples:
        ordered, others = canonical_texts(example, spec)
        keyed.append((example, (tuple(ordered), tuple(others))))
    return keyed


class PlainDetector:
    """Index of the evaluation items of all datasets, which detects training rows that leak one of them."""

    def __init__(self) -> None:
        self._keys: dict[Key, set[str]] = {}
        self._passages: dict[str, set[str]] = {}
        self._runs: dict[int, list[int]] = {}
        self._items: list[tuple[str, int]] = []
        self._questions: dict[frozenset[str], list[tuple[str, frozenset[str]]]] = {}

    def add(self, spec: DatasetSpec, items: Iterable[Item]) -> None:
        """Add all evaluation items of a dataset to the index."""
        own: dict[int, list[int]] = {}
        for example, key in items:
            words = _words(key)
            self._keys.setdefault(key, set()).add(spec.name)
            if passage := _passage(example, key):
                self._passages.setdefault(passage, set()).add(spec.name)
            runs = _runs(words)
            for run in runs:
                own.setdefault(run, []).append(len(self._items))
            self._items.append((spec.name, len(runs)))
            if tokens := _tokens(words, spec):
                for some in _nearly(tokens):
                    self._questions.setdefault(some, []).append((spec.name, tokens))
        for run, numbers in own.items():
            if len(numbers) <= _MOST_ITEMS:
                self._runs.setdefault(run, []).extend(numbers)

    def find(self, spec: DatasetSpec, item: Item) -> dict[str, tuple[str, ...]]:
        """Return the evaluation datasets that a training row leaks, each with the rules that detect it."""
        example, key = item
        words = _words(key)
        hits = {(name, "exact") for name in self._keys.get(key, ())}
        hits.update((name, "passage") for name in self._passages.get(_passage(example, key), ()))
        runs = _runs(words)
        for number, count in Counter(number for run in runs for number in self._runs.get(run, ())).items():
            name, size = self._items[number]
            if count >= _SHARE * min(len(runs), size):
                hits.add((name, "13-gram"))
        if tokens := _tokens(words, spec):
            for some in _nearly(tokens):
                for name, other in self._questions.get(some, ()):
                    if len(tokens & other) >= _JACCARD * len(tokens | other):
                        hits.add((name, "token-set"))
        if spec.family in _SHARED_PREMISES:
            hits -= {(spec.name, "passage"), (spec.name, "13-gram")}
        names = sorted({name for name, _ in hits})
        return {name: tuple(rule for rule in RULES if (name, rule) in hits) for name in names}


@dataclass
class Detected:
    """The numbers of training rows that decontamination detected.

    Attributes:
        overlap: Number of rows by training dataset, evaluation dataset and rule. A row counts for every rule that detects it.
        removed: Number of rows by training dataset.
    """

    overlap: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)

    def look_up(self, detector: PlainDetector, spec: DatasetSpec, items: Iterable[Item]) -> None:
        """Look up the rows of a training dataset and count the detected ones."""
        for item in items:
            hits = detector.find(spec, item)
            self.overlap.update((spec.name, name, rule) for name, rules in hits.items() for rule in rules)
            self.removed[spec.name] += bool(hits)

    def add(self, other: "Detected") -> None:
        """Add the numbers of other rows."""
        self.overlap += other.overlap
        self.removed += other.removed


def plain_decontamination(folder: Path, workers: int) -> dict[str, Any]:
    """Look up every training row of a mirror. The time does not include reading, normalisation and the key texts.

    Args:
        folder: The folder of the mirror.
        workers: Number of processes.

    Returns:
        A dict with the following keys:

        * ``index_seconds``: the time to index the evaluation items in one process
        * ``find_seconds``: the time to look up all rows, summed over the processes
        * ``seconds``: the total time if the processes share the rows evenly
        * ``removed``, ``overlap``: as in `Detected`
    """
    from multiprocessing import get_context

    global _detector
    source, index_seconds = open_source(str(folder)), 0.0
    _detector = PlainDetector()
    for spec in datasets(beside=True).values():
        items = with_keys(spec, load_examples(spec, "eval", source).examples)
        begun = time.perf_counter()
        _detector.add(spec, items)
        index_seconds += time.perf_counter() - begun
    tasks = [
        (spec.name, subset, file)
        for spec in datasets().values()
        for subset in spec.subsets
        for file in sorted((folder / subset.folder).glob(f"{subset.train}-*.parquet"))
    ]
    detected, find_seconds = Detected(), 0.0
    # Forked processes share the index. The garbage collector must not touch it, because each process would then copy it.
    gc.freeze()
    with get_context("fork").Pool(workers) as pool:
        for some, seconds in pool.imap_unordered(_look_up, tasks):
            detected.add(some)
            find_seconds += seconds
    return {
        "index_seconds": index_seconds,
        "find_seconds": find_seconds,
        "seconds": index_seconds + find_seconds / workers,
        "removed": dict(sorted(detected.removed.items())),
        "overlap": [[*key, count] for key, count in sorted(detected.overlap.items())],
    }


_detector = PlainDetector()


def _look_up(task: tuple[str, Subset, Path]) -> tuple[Detected, float]:
    import pyarrow.parquet as pq

    name, subset, path = task
    spec = dataset(name)
    stream = RowStream(spec, subset, f"{name}/{subset.train}", str(path))
    detected, seconds = Detected(), 0.0
    with pq.ParquetFile(path) as file:
        columns = [name for name in file.schema_arrow.names if name in needed_columns(spec)]
        # A forked process does not have its parent's threads.
        for batch in file.iter_batches(4096, columns=columns, use_threads=False):
            items = with_keys(spec, stream.examples(batch.to_pylist()))
            begun = time.perf_counter()
            detected.look_up(_detector, spec, items)
            seconds += time.perf_counter() - begun
    return detected, seconds


def _words(key: Key) -> tuple[str, ...]:
    return tuple(" ".join((*key[0], *key[1])).split())


def _passage(example: Example, key: Key) -> str:
    """Return the long text in canonical form, or "" if there is none or it is too short."""
    if example.long is None:
        return ""
    passage = example.input[slice(*example.long)]
    at = example.match.index(passage) if passage in example.match else -1
    text = key[0][at] if 0 <= at < len(key[0]) else canonical(passage)
    return text if text.count(" ") >= _LEAST_PASSAGE - 1 else ""


def _runs(words: tuple[str, ...]) -> set[int]:
    return {hash(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)}


def _tokens(words: tuple[str, ...], spec: DatasetSpec) -> frozenset[str]:
    """Return the distinct words of an open question. The set is empty for other rows, and for long and short questions."""
    if spec.family not in _QUESTIONS:
        return frozenset()
    tokens = frozenset(words)
    return tokens if _LEAST_TOKENS <= len(tokens) <= _MOST_TOKENS else frozenset()


def _nearly(tokens: frozenset[str]) -> list[frozenset[str]]:
    """Return the set and all its subsets without one word. Small sets with a similarity of 0.9 share one of these."""
    return [tokens, *(tokens - {word} for word in tokens)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(plain_decontamination(Path(sys.argv[1]), int(sys.argv[2]))))
