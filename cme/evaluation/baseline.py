"""Answers of the baselines, in the format of lm-eval's sample records, so that models and baselines are scored alike."""

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
from cme.evaluation.chosen_ids import chosen_ids
from cme.evaluation.row_rules import too_many_rows
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
"""Difference in log-probability (nats) between the option that ``first-option`` chooses and the others."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"\u201d\u2019\')\]]*\s+(?=[\"\u201c\u2018\'(\[]?[A-Z0-9])|\n+")
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Gen|Col|Lt|Sgt|Rev|Jr|Sr|No|vs)\.$")


def first_sentence(text: str) -> str:
    """Return the first sentence of a text.

    A sentence ends at the end of a line, or at a full stop, exclamation mark or question mark that precedes a capital letter
    or a digit. Initials and common titles (``J. Smith``, ``Dr. Lind``) do not end a sentence.
    """
    start = 0
    while match := _SENTENCE_END.search(text, start):
        sentence = text[: match.start()]
        if not match[0].strip("\n") or not _ABBREVIATION.search(sentence):
            return (sentence + match[0]).strip()
        start = match.end()
    return text.strip()


class BaselineSession:
    """Evaluate a baseline. It has the interface of `cme.evaluation.session.Session`.

    Args:
        name: one of `cme.suite.baselines.BASELINES`.
        settings: settings of the evaluation. Base, adapter, format, shots and dtype have no effect.
        source: source of the rows.
        counts: number of rows of each dataset. None means all rows of the tier.
    """

    method, effect = "", 0.0
    batch_size, threads, device_name = 1, 1, "none"

    def __init__(
        self, name: str, settings: EvalSettings, source: Source, counts: Mapping[str, int] | None = None
    ) -> None:
        self._name, self._settings, self._source, self._counts = name, settings, source, counts

    def dataset(self, spec: DatasetSpec, parts: Path, progress: Bar) -> dict[str, Any]:
        """Answer and score one dataset, unless its folder holds the finished answers.

        Args:
            spec: the dataset.
            parts: folder that contains the folders of the datasets.
            progress: bar that shows the number of answered rows.

        Returns:
            A mapping with ``seconds``, the ``provenance`` of the rows, the number of ``available`` rows, and an empty
            ``engine``.

        Raises:
            UsageError: if more rows were requested than the tier has.
        """
        folder = parts / spec.name
        marker = folder / "done.json"
        if not marker.is_file():
            started = time.perf_counter()
            examples, provenance = self._rows(spec)
            available = len(examples)
            if self._counts is not None:
                if (wanted := self._counts[spec.name]) > available:
                    raise too_many_rows(spec.name, wanted, available, self._settings.tier)
                examples = examples[:wanted]
            answer = self._answerer(spec)
            progress.expect(len(examples))
            records = []
            for example in examples:
                records.append(_record(example, answer(example), spec))
                progress.advance()
            write_samples(
                folder / "samples.parquet", [sample_row(record, spec, None, limited=False) for record in records]
            )
            write_responses(folder / "responses.parquet", [response_row(record, spec) for record in records])
            seconds = round(time.perf_counter() - started, 3)
            provenance = provenance | self._source.provenance(spec)
            done = {"seconds": seconds, "provenance": provenance, "engine": ""}
            write_json(marker, done | {"available": available})
        outcome: dict[str, Any] = read_json(marker)
        return outcome

    def _rows(self, spec: DatasetSpec) -> tuple[list[Example], dict[str, str]]:
        """Return the rows to evaluate, with the provenance of rows that were chosen by their ids."""
        if self._settings.ids is None:
            return self._load(spec, "eval"), {}
        examples, provenance = chosen_ids(self._settings.ids).take(spec, self._settings.source)
        return [cut_words(example, spec.max_input_words) for example in examples], provenance

    def _load(self, spec: DatasetSpec, kind: str) -> list[Example]:
        outcome = load_examples(spec, kind, self._source, allow_missing=self._settings.allow_missing)
        if not outcome.examples:
            split = "training" if kind == "train" else "evaluation"
            raise SourceError(
                f"{spec.name}: {self._source.place} has no {split} rows. Leave the dataset out, or use another --source."
            )
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
    """Return a function that gives the most frequent training answer, or for choice datasets the log-probabilities of options.

    Among equally frequent answers, the first in tier order is chosen. The probability of an option is the share of training
    rows whose correct option has the same index, with add-one smoothing.
    """
    if spec.kind == "generate":
        # Worked solutions are all different, so the most frequent number is written as a solution without steps.
        number = spec.answer == "number"
        texts = (f"#### {example.answers[0]}" if number else example.output for example in train)
        answer = Counter(texts).most_common(1)[0][0]
        return lambda example: answer
    counts = Counter(example.gold for example in train)

    def shares(example: Example) -> list[float]:
        options = range(len(example.choices or ()))
        total = sum(counts[index] + 1 for index in options)
        return [math.log((counts[index] + 1) / total) for index in options]

    return shares


def _record(example: Example, answer: list[float] | str, spec: DatasetSpec) -> Mapping[str, Any]:
    """Return a sample record in lm-eval's format, with the row, the answers and the scores."""
    doc = {"id": example.id, "dataset": spec.name, "part": example.subset, "cluster": example.cluster, "cut": False}
    if isinstance(answer, str):
        doc["answers"] = list(example.answers)
        return {"doc": doc, "filtered_resps": [answer], **task.process_generation(doc, [answer])}
    doc["gold"] = example.gold
    results = [(value, False) for value in answer]
    return {"doc": doc, "filtered_resps": results, **task.process_choice(doc, results)}
