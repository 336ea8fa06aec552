"""The baselines' answers, in the shape in which lm-eval gives a model's, so that scoring is one and the same."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.data.example import Example
from cme.data.load import load_examples
from cme.data.sources import Source
from cme.errors import SourceError
from cme.evaluation import task
from cme.evaluation.samples import response_row, sample_row, write_responses
from cme.evaluation.settings import EvalSettings
from cme.files import read_json, write_json
from cme.progress import Bar
from cme.prompt import cut_words
from cme.records.samples import write_samples
from cme.suite import DatasetSpec
from cme.suite.tiers import tier_order, tier_rows

__all__ = ["BaselineSession", "first_sentence"]

_CERTAIN = 20.0
"""Log-probability (nats) by which a baseline that is always sure puts its option before the others."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"\u201d\u2019\')\]]*\s+(?=[\"\u201c\u2018\'(\[]?[A-Z0-9])|\n+")
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Gen|Col|Lt|Sgt|Rev|Jr|Sr|No|vs)\.$")


def first_sentence(text: str) -> str:
    """The first sentence of a text: up to a full stop, exclamation or question mark before a capital, or a line's end.

    Single initials and common titles (``J. Smith``, ``Dr. Lind``) end no sentence.
    """
    start = 0
    while found := _SENTENCE_END.search(text, start):
        sentence = text[: found.start()]
        if not found[0].strip("\n") or not _ABBREVIATION.search(sentence):
            return (sentence + found[0]).strip()
        start = found.end()
    return text.strip()


class BaselineSession:
    """A baseline, ready to answer; in the place of `cme.evaluation.session.Session`.

    Args:
        name: one of `cme.suite.baselines.BASELINES`.
        settings: the evaluation's settings; base, adapter, format, shots and dtype play no part.
        source: where the rows come from.
    """

    method, effect = "", 0.0
    batch_size, threads, device_name = 1, 1, "none"

    def __init__(self, name: str, settings: EvalSettings, source: Source) -> None:
        self._name, self._settings, self._source = name, settings, source

    def dataset(self, spec: DatasetSpec, part: Path, progress: Bar) -> dict[str, Any]:
        """Answer and score one dataset, unless its folder ``part`` says that this is done.

        Args:
            spec: the dataset.
            part: its folder.
            progress: shows how many rows are answered.

        Returns:
            ``seconds`` it took, the ``provenance`` of its rows, and an empty ``engine``.
        """
        marker = part / "done.json"
        if not marker.is_file():
            started = time.perf_counter()
            examples = self._load(spec, "eval")
            answer = self._answerer(spec)
            progress.expect(len(examples))
            records = []
            for example in examples:
                records.append(_record(example, answer(example), spec))
                progress.advance()
            write_samples(part / "samples.parquet", [sample_row(record, spec, None) for record in records])
            write_responses(part / "responses.parquet", [response_row(record, spec) for record in records])
            seconds = round(time.perf_counter() - started, 3)
            write_json(marker, {"seconds": seconds, "provenance": self._source.provenance(spec), "engine": ""})
        found: dict[str, Any] = read_json(marker)
        return found

    def _load(self, spec: DatasetSpec, kind: str) -> list[Example]:
        outcome = load_examples(spec, kind, self._source, allow_missing=self._settings.allow_missing)
        if not outcome.examples:
            split = "training" if kind == "train" else "evaluation"
            raise SourceError(f"{spec.name}: {self._source.place} has no {split} rows. Leave the dataset out.")
        examples = tier_order(outcome.examples)
        limit = tier_rows(self._settings.tier) if kind == "eval" else None
        return [cut_words(example, spec.max_input_words) for example in examples[:limit]]

    def _answerer(self, spec: DatasetSpec) -> "Callable[[Example], list[float] | str]":
        if self._name == "majority":
            return _majority(self._load(spec, "train"), spec)
        if self._name == "first-option":
            return lambda example: [-_CERTAIN * (index > 0) for index in range(len(example.choices or ()))]
        if self._name == "unanswerable":
            return lambda example: spec.unanswerable or ""
        return lambda example: first_sentence(example.input[slice(*(example.long or (None, None)))])


def _majority(train: Sequence[Example], spec: DatasetSpec) -> "Callable[[Example], list[float] | str]":
    """The most frequent answer; among equally frequent ones the first in tier order.

    Options are counted by place; each option's log-probability is that of its share in training, with one added to every
    count.
    """
    if spec.kind == "generate":
        answer = Counter(example.output for example in train).most_common(1)[0][0]
        return lambda example: answer
    counts = Counter(example.gold for example in train)

    def shares(example: Example) -> list[float]:
        options = range(len(example.choices or ()))
        total = sum(counts[index] + 1 for index in options)
        return [math.log((counts[index] + 1) / total) for index in options]

    return shares


def _record(example: Example, answer: list[float] | str, spec: DatasetSpec) -> Mapping[str, Any]:
    """A sample record as lm-eval makes one: the row, the answers, the scores."""
    doc = {"id": example.id, "dataset": spec.name, "part": example.subset, "cluster": example.cluster, "cut": False}
    if isinstance(answer, str):
        doc["answers"] = list(example.answers)
        return {"doc": doc, "filtered_resps": [answer], **task.process_generation(doc, [answer])}
    doc["gold"] = example.gold
    results = [(value, False) for value in answer]
    return {"doc": doc, "filtered_resps": results, **task.process_choice(doc, results)}
