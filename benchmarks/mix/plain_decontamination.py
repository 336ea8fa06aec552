"""The rules of decontamination (`cme.mix.decontamination`) the plain way, over Python sets, to measure CME against.

Written to be quick as far as sets and dictionaries go: runs of words are kept as hashes, evaluation items are looked up
and never gone through, and questions are looked up by their set of words.
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

__all__ = ["RULES", "Found", "Item", "Key", "PlainDetector", "plain_decontamination", "with_keys"]

RULES = ("exact", "passage", "13-gram", "token-set")

_RUN, _SHARE, _MOST_ITEMS = 13, 0.5, 50
_LEAST_PASSAGE = 8
_LEAST_TOKENS, _MOST_TOKENS, _JACCARD = 5, 18, 0.9
_QUESTIONS = ("open_domain_qa",)
_SHARED_PREMISES = ("natural_language_inference", "textual_entailment")

Key = tuple[tuple[str, ...], tuple[str, ...]]
"""An example's key texts in canonical form, see `cme.data.match.canonical_texts`."""

Item = tuple[Example, Key]


def with_keys(spec: DatasetSpec, examples: Iterable[Example]) -> list[Item]:
    """Examples with their key texts. They are not its work: duplicates are found by them, too."""
    keyed = []
    for example in examples:
        ordered, others = canonical_texts(example, spec)
        keyed.append((example, (tuple(ordered), tuple(others))))
    return keyed


class PlainDetector:
    """Evaluation items of every dataset, and whether a training row leaks one of them."""

    def __init__(self) -> None:
        self._keys: dict[Key, set[str]] = {}
        self._passages: dict[str, set[str]] = {}
        self._runs: dict[int, list[int]] = {}
        self._items: list[tuple[str, int]] = []
        self._questions: dict[frozenset[str], list[tuple[str, frozenset[str]]]] = {}

    def add(self, spec: DatasetSpec, items: Iterable[Item]) -> None:
        """Learn a dataset's evaluation items, all at once."""
        found: dict[int, list[int]] = {}
        for example, key in items:
            words = _words(key)
            self._keys.setdefault(key, set()).add(spec.name)
            if passage := _passage(example, key):
                self._passages.setdefault(passage, set()).add(spec.name)
            runs = _runs(words)
            for run in runs:
                found.setdefault(run, []).append(len(self._items))
            self._items.append((spec.name, len(runs)))
            if tokens := _tokens(words, spec):
                for some in _nearly(tokens):
                    self._questions.setdefault(some, []).append((spec.name, tokens))
        for run, numbers in found.items():
            if len(numbers) <= _MOST_ITEMS:
                self._runs.setdefault(run, []).extend(numbers)

    def find(self, spec: DatasetSpec, item: Item) -> dict[str, tuple[str, ...]]:
        """Evaluation datasets that a training row leaks, each with the rules that say so."""
        example, key = item
        words = _words(key)
        found = {(name, "exact") for name in self._keys.get(key, ())}
        found.update((name, "passage") for name in self._passages.get(_passage(example, key), ()))
        runs = _runs(words)
        for number, count in Counter(number for run in runs for number in self._runs.get(run, ())).items():
            name, size = self._items[number]
            if count >= _SHARE * min(len(runs), size):
                found.add((name, "13-gram"))
        if tokens := _tokens(words, spec):
            for some in _nearly(tokens):
                for name, other in self._questions.get(some, ()):
                    if len(tokens & other) >= _JACCARD * len(tokens | other):
                        found.add((name, "token-set"))
        if spec.family in _SHARED_PREMISES:
            found -= {(spec.name, "passage"), (spec.name, "13-gram")}
        names = sorted({name for name, _ in found})
        return {name: tuple(rule for rule in RULES if (name, rule) in found) for name in names}


@dataclass
class Found:
    """Training rows that decontamination found.

    Attributes:
        overlap: by training dataset, evaluation dataset and rule; a row counts for every rule that found it.
        removed: by training dataset; a row counts once.
    """

    overlap: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)

    def look_up(self, gate: PlainDetector, spec: DatasetSpec, items: Iterable[Item]) -> None:
        """Ask decontamination about a training dataset's rows."""
        for item in items:
            found = gate.find(spec, item)
            self.overlap.update((spec.name, name, rule) for name, rules in found.items() for rule in rules)
            self.removed[spec.name] += bool(found)

    def add(self, other: "Found") -> None:
        """Add what was found in other rows."""
        self.overlap += other.overlap
        self.removed += other.removed


def plain_decontamination(folder: Path, workers: int) -> dict[str, Any]:
    """Look every training row of a mirror up, timing decontamination alone: not the reading, the normalising and the key texts.

    Args:
        folder: the mirror.
        workers: processes.

    Returns:
        ``index_seconds``, to learn the evaluation items (one process); ``find_seconds``, to look all rows up (summed over
        the processes); ``seconds``, what both take if the processes share the rows evenly; ``removed`` and ``overlap``,
        see `Found`.
    """
    from multiprocessing import get_context

    global _gate
    source, index_seconds = open_source(str(folder)), 0.0
    _gate = PlainDetector()
    for spec in datasets(beside=True).values():
        items = with_keys(spec, load_examples(spec, "eval", source).examples)
        begun = time.perf_counter()
        _gate.add(spec, items)
        index_seconds += time.perf_counter() - begun
    tasks = [
        (spec.name, subset, file)
        for spec in datasets().values()
        for subset in spec.subsets
        for file in sorted((folder / subset.folder).glob(f"{subset.train}-*.parquet"))
    ]
    found, find_seconds = Found(), 0.0
    # Forked, so that the processes share what was learnt; the collector must not touch it, or each would get a copy.
    gc.freeze()
    with get_context("fork").Pool(workers) as pool:
        for some, seconds in pool.imap_unordered(_look_up, tasks):
            found.add(some)
            find_seconds += seconds
    return {
        "index_seconds": index_seconds,
        "find_seconds": find_seconds,
        "seconds": index_seconds + find_seconds / workers,
        "removed": dict(sorted(found.removed.items())),
        "overlap": [[*key, count] for key, count in sorted(found.overlap.items())],
    }


_gate = PlainDetector()


def _look_up(task: tuple[str, Subset, Path]) -> tuple[Found, float]:
    import pyarrow.parquet as pq

    name, subset, path = task
    spec = dataset(name)
    stream = RowStream(spec, subset, f"{name}/{subset.train}", str(path))
    found, seconds = Found(), 0.0
    with pq.ParquetFile(path) as file:
        columns = [name for name in file.schema_arrow.names if name in needed_columns(spec)]
        # A forked process has none of its parent's threads.
        for batch in file.iter_batches(4096, columns=columns, use_threads=False):
            items = with_keys(spec, stream.examples(batch.to_pylist()))
            begun = time.perf_counter()
            found.look_up(_gate, spec, items)
            seconds += time.perf_counter() - begun
    return found, seconds


def _words(key: Key) -> tuple[str, ...]:
    return tuple(" ".join((*key[0], *key[1])).split())


def _passage(example: Example, key: Key) -> str:
    """The long text in canonical form; "" if there is none or it is too short."""
    if example.long is None:
        return ""
    passage = example.input[slice(*example.long)]
    at = example.match.index(passage) if passage in example.match else -1
    text = key[0][at] if 0 <= at < len(key[0]) else canonical(passage)
    return text if text.count(" ") >= _LEAST_PASSAGE - 1 else ""


def _runs(words: tuple[str, ...]) -> set[int]:
    return {hash(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)}


def _tokens(words: tuple[str, ...], spec: DatasetSpec) -> frozenset[str]:
    """The different words of a question with a free answer; none for other rows, and for long and short questions."""
    if spec.family not in _QUESTIONS:
        return frozenset()
    tokens = frozenset(words)
    return tokens if _LEAST_TOKENS <= len(tokens) <= _MOST_TOKENS else frozenset()


def _nearly(tokens: frozenset[str]) -> list[frozenset[str]]:
    """The set and what is left without one word: sets of so few words are 0.9 alike only if they share one of these."""
    return [tokens, *(tokens - {word} for word in tokens)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(plain_decontamination(Path(sys.argv[1]), int(sys.argv[2]))))
