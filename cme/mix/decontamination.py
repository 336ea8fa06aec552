"""Decontamination: detection of training rows that leak an evaluation item of any dataset of the suite.

| rule | a training row is detected if |
| --- | --- |
| ``exact`` | its key text equals that of an evaluation item (see `cme.data.match`) |
| ``passage`` | its long text (premise, passage, article or post) equals that of an evaluation item and has at least 8 words |
| ``13-gram`` | it shares at least half of the distinct 13-grams of the shorter text with a single evaluation item |
| ``token-set`` | it is a free-answer question whose set of words has a Jaccard similarity >= 0.9 to an evaluation question |

Free-answer questions are those of closed-book datasets, word problems without options, and the tasks of programs.

13-grams in more than 50 evaluation items of a dataset are boilerplate and do not count as shared, but they count in the length
of a text. Both questions of the last rule have 5 to 18 distinct words. All texts are compared in canonical form.
`cme.mix.dedup` applies the first rule, and this module the others.

Datasets of inference and entailment share premises between their published splits on purpose, with several hypotheses each. A
row is therefore not removed for a premise that it shares with an evaluation item of its own dataset. Such rows are counted under
the name of the rule with `KEPT`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.data.example import Example
from cme.data.match import canonical
from cme.mix.ngrams import distinct_words, runs, words
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["KEPT", "RULES", "EvalTexts", "LeakDetector", "Texts", "no_texts", "shares_premises", "texts_of"]

RULES = ("exact", "passage", "13-gram", "token-set")
KEPT = " (kept)"
"""Suffix of the name of a rule, for detected rows that are not removed."""

RUN = 13
SHARE = 0.5
MOST_ITEMS = 50
LEAST_PASSAGE_WORDS = 8
LEAST_TOKENS, MOST_TOKENS = 5, 18
JACCARD = 0.9

_FREE_ANSWERS = ("open_domain_qa", "mathematical_reasoning", "code_generation")
_SHARED_PREMISES = ("natural_language_inference", "textual_entailment")
_MOST_BITMAP_BITS = 30
_BITS_PER_RUN = 32


def shares_premises(spec: DatasetSpec) -> bool:
    """Return whether the published splits of the dataset share premises on purpose."""
    return spec.family in _SHARED_PREMISES


@dataclass(frozen=True)
class Texts:
    """The texts of some examples that decontamination compares.

    Attributes:
        whole: key texts in canonical form, joined by spaces.
        passages: hash of the canonical long text; 0 if there is none or it is too short.
        questions: whether the rule ``token-set`` applies to this dataset.
    """

    whole: list[str]
    passages: "NDArray[np.uint64]"
    questions: bool


def texts_of(spec: DatasetSpec, examples: Sequence[Example], keys: Sequence[tuple[list[str], list[str]]]) -> Texts:
    """Return the texts of examples of a dataset.

    Args:
        spec: the dataset.
        examples: examples with uncut long texts.
        keys: for each example, the result of `cme.data.match.canonical_texts`.
    """
    import numpy as np

    passages = np.zeros(len(examples), dtype=np.uint64)
    for number, (example, (ordered, _)) in enumerate(zip(examples, keys, strict=True)):
        if example.long is not None:
            passage = example.input[slice(*example.long)]
            at = example.match.index(passage) if passage in example.match else -1
            text = ordered[at] if 0 <= at < len(ordered) else canonical(passage)
            if text.count(" ") >= LEAST_PASSAGE_WORDS - 1:
                passages[number] = _passage(text)
    return Texts([" ".join((*ordered, *others)) for ordered, others in keys], passages, _asks(spec))


def _asks(spec: DatasetSpec) -> bool:
    """Return whether the key text of a dataset is a free-answer question."""
    return spec.kind == "generate" and spec.family in _FREE_ANSWERS


def no_texts() -> Texts:
    """Return texts without an example."""
    import numpy as np

    return Texts([], np.empty(0, dtype=np.uint64), False)


def _passage(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") or 1


@dataclass(frozen=True)
class EvalTexts:
    """The texts of one evaluation dataset, in the form that decontamination uses.

    Attributes:
        passages: distinct hashes of long texts, ascending.
        grams: hash of the 13-gram in each distinct pair of a 13-gram and an item.
        items: number of the item in each of these pairs.
        counts: number of distinct 13-grams of each item.
        sets: for each question, the sum of the hashes of its distinct words.
        nearly: these sums without one of the words, if the rest is still similar enough.
    """

    passages: "NDArray[np.uint64]"
    grams: "NDArray[np.uint64]"
    items: "NDArray[np.int32]"
    counts: "NDArray[np.int32]"
    sets: "NDArray[np.uint64]"
    nearly: "NDArray[np.uint64]"

    @classmethod
    def of(cls, texts: Texts) -> "EvalTexts":
        """Make the index from the texts of all evaluation items of a dataset."""
        import numpy as np

        hashes, owners = words(texts.whole)
        grams, items = distinct_words(*runs(hashes, owners, RUN))
        order = np.argsort(grams, kind="stable")
        ranked = grams[order]
        starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1]))) if len(ranked) else order[:0]
        often = np.repeat(np.diff(np.append(starts, len(ranked))), np.diff(np.append(starts, len(ranked))))
        fit = order[often <= MOST_ITEMS]
        counts = np.bincount(items, minlength=len(texts.whole)).astype(np.int32)
        sets, nearly = np.empty(0, np.uint64), np.empty(0, np.uint64)
        if texts.questions:
            sets, nearly, _, _ = _token_sets(hashes, owners, len(texts.whole))
        return cls(
            np.unique(texts.passages[texts.passages > 0]),
            grams[fit],
            items[fit].astype(np.int32),
            counts,
            np.unique(sets),
            np.unique(nearly),
        )

    def save(self, path: Path) -> None:
        """Write the index as ``.npz``."""
        import numpy as np

        with path.open("wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "EvalTexts":
        """Read an index that `save` wrote."""
        import numpy as np

        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})


def _token_sets(
    hashes: "NDArray[np.uint64]", owners: "NDArray[np.int64]", count: int
) -> "tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]":
    """Return sums of hashes that identify sets of words.

    If d words differ, the Jaccard similarity is (|A| + |B| - d) / (|A| + |B| + d). It is at least 0.9 if d <= (|A| + |B|) / 19.
    Two sets of at most 18 words are therefore similar if they are equal, or if one of them has one word more and they have at
    least 19 words together.

    Returns:
        The sum of every set of 5 to 18 words, the sums without one word for sets of at least 10 words, and the numbers of the
        texts for both.
    """
    import numpy as np

    hashes, owners = distinct_words(hashes, owners)
    sizes = np.bincount(owners, minlength=count)
    sums = np.zeros(count, dtype=np.uint64)
    np.add.at(sums, owners, hashes)
    short = (sizes >= LEAST_TOKENS) & (sizes <= MOST_TOKENS)
    enough = short & (2 * sizes - 1 >= round((1 + JACCARD) / (1 - JACCARD)))
    at = np.flatnonzero(enough[owners])
    return sums[short], sums[owners[at]] - hashes[at], np.flatnonzero(short), owners[at]


class LeakDetector:
    """An index of all evaluation datasets, which detects training rows that leak one of their items.

    Args:
        folder: folder that `build` wrote. Its arrays are mapped into memory, so that processes share them.
    """

    def __init__(self, folder: Path) -> None:
        import numpy as np

        def array(name: str) -> "NDArray[Any]":
            values: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            return values

        self._bitmap = array("bitmap")
        self._grams, self._items = array("grams"), array("items")
        self._counts, self._owner = array("counts"), array("owner")
        self._tables = {name: (array(name), array(f"{name}_masks")) for name in ("passages", "sets", "nearly")}

    @staticmethod
    def build(folder: Path, evaluation: Mapping[str, EvalTexts]) -> None:
        """Write the index of the evaluation datasets.

        The position of a dataset in the mapping is its bit in the masks. At most 32 datasets are possible.

        Args:
            folder: folder to write. Existing files are overwritten.
            evaluation: texts of each dataset.
        """
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        datasets = list(evaluation.values())
        bases = np.cumsum([0, *(len(texts.counts) for texts in datasets)])
        grams = np.concatenate([texts.grams for texts in datasets])
        items = np.concatenate([texts.items + base for texts, base in zip(datasets, bases[:-1], strict=True)])
        order = np.argsort(grams, kind="stable")
        bits = min(_MOST_BITMAP_BITS, max(10, (_BITS_PER_RUN * len(grams)).bit_length()))
        bitmap = np.zeros(1 << (bits - 3), dtype=np.uint8)
        place = grams >> np.uint64(64 - bits)
        np.bitwise_or.at(bitmap, (place >> np.uint64(3)).astype(np.int64), _bit(place))
        arrays = {
            "bitmap": bitmap,
            "grams": grams[order],
            "items": items[order].astype(np.int32),
            "counts": np.concatenate([texts.counts for texts in datasets]),
            "owner": np.repeat(np.arange(len(datasets), dtype=np.uint8), np.diff(bases)),
        }
        for name in ("passages", "sets", "nearly"):
            every = np.concatenate([getattr(texts, name) for texts in datasets])
            flags = np.repeat(
                np.uint32(1) << np.arange(len(datasets), dtype=np.uint32),
                [len(getattr(texts, name)) for texts in datasets],
            )
            values, inverse = np.unique(every, return_inverse=True)
            masks = np.zeros(len(values), dtype=np.uint32)
            np.bitwise_or.at(masks, inverse, flags)
            arrays |= {name: values, f"{name}_masks": masks}
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values, allow_pickle=False)

    def find(self, texts: Texts) -> "dict[str, NDArray[np.uint32]]":
        """Detect leaks among some training rows.

        Args:
            texts: texts of the rows.

        Returns:
            For each rule except ``exact``, one mask per row. A set bit means that the row leaks an item of the evaluation dataset
            with this bit.
        """
        import numpy as np

        count = len(texts.whole)
        hashes, owners = words(texts.whole)
        tokens = np.zeros(count, dtype=np.uint32)
        if texts.questions:
            sums, nearly, rows, near_rows = _token_sets(hashes, owners, count)
            tokens[rows] = self._masks("sets", sums) | self._masks("nearly", sums)
            np.bitwise_or.at(tokens, near_rows, self._masks("sets", nearly))
        return {
            "13-gram": self._runs(*runs(hashes, owners, RUN), count),
            "passage": self._masks("passages", texts.passages),
            "token-set": tokens,
        }

    def _masks(self, name: str, values: "NDArray[np.uint64]") -> "NDArray[np.uint32]":
        import numpy as np

        known, masks = self._tables[name]
        if not len(known):
            return np.zeros(len(values), dtype=np.uint32)
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        hits: NDArray[np.uint32] = np.where(known[place] == values, masks[place], np.uint32(0))
        return hits

    def _runs(self, grams: "NDArray[np.uint64]", owners: "NDArray[np.int64]", count: int) -> "NDArray[np.uint32]":
        import numpy as np

        masks = np.zeros(count, dtype=np.uint32)
        place = grams >> np.uint64(61 - (len(self._bitmap).bit_length() - 1))
        maybe = np.flatnonzero(self._bitmap[(place >> np.uint64(3)).astype(np.int64)] & _bit(place))
        if not len(maybe) or not len(self._grams):
            return masks
        first = np.searchsorted(self._grams, grams[maybe])
        known = self._grams[np.minimum(first, len(self._grams) - 1)] == grams[maybe]
        if not known.any():
            return masks
        # Only the rows with a known 13-gram are counted exactly. They are few.
        counted = np.isin(owners, np.unique(owners[maybe[known]]))
        sizes = np.bincount(distinct_words(grams[counted], owners[counted])[1], minlength=count)
        runs_, row = distinct_words(grams[maybe[known]], owners[maybe[known]])
        first, last = (np.searchsorted(self._grams, runs_, side) for side in ("left", "right"))
        times = last - first
        which = np.repeat(np.arange(len(runs_)), times)
        offset = np.arange(len(which)) - np.repeat(np.cumsum(times) - times, times)
        item = self._items[first[which] + offset].astype(np.int64)
        pairs, shared = np.unique(row[which] * len(self._counts) + item, return_counts=True)
        row, item = pairs // len(self._counts), pairs % len(self._counts)
        enough = shared >= SHARE * np.minimum(sizes[row], self._counts[item])
        np.bitwise_or.at(masks, row[enough], np.uint32(1) << self._owner[item[enough]].astype(np.uint32))
        return masks


def _bit(place: "NDArray[np.uint64]") -> "NDArray[np.uint8]":
    import numpy as np

    return np.left_shift(np.uint8(1), (place & np.uint64(7)).astype(np.uint8))
