"""Training problems that are evaluation problems with other numbers.

Two problems are the same with other numbers if their questions are equal after a placeholder replaced every number. They have at
least 8 words and one number. The rows are counted and kept: a model that has seen such a problem still has to calculate, and
templates with other numbers are common. The rule is applied to mixes with datasets of CME-R only.
"""

import re
import string
from collections.abc import Mapping, Sequence

from cme.data.load import load_examples
from cme.data.match import canonical
from cme.data.sources import Source
from cme.mix.decontamination import KEPT
from cme.mix.dedup import Cleaned, Overlap
from cme.mix.work_files import TrainFile
from cme.suite import DatasetSpec
from cme.suite.suites import DEFAULT

__all__ = ["PROBLEMS", "RULE", "problem_shape", "with_other_numbers"]

RULE = "same problem, other numbers" + KEPT
"""Name of the rule in the overlap. It removes no rows."""

PROBLEMS = ("mathematical_reasoning", "knowledge_reasoning")
"""Families with word problems: those of CME-R, and MMLU with its mathematical subjects."""

_LEAST_WORDS = 8
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_PUNCTUATION = string.punctuation.translate(str.maketrans("", "", "$+<=>^`|~")) + string.whitespace
_HEAD, _OPTIONS = "Question: ", "\nA. "
_BATCH = 4096


def problem_shape(text: str) -> str | None:
    """Return the canonical question of an input with a placeholder for every number, or None if the rule does not apply.

    Args:
        text: input of an example. Options after the question are ignored.

    Example:
        >>> problem_shape("Question: Ada has 3 red pens and buys 1,250 more. How many?")
        'ada has # red pens and buys # more how many'
    """
    question = text.removeprefix(_HEAD).split(_OPTIONS, 1)[0]
    parts = _NUMBER.split(question)
    # The canonical form has no punctuation, so the placeholder is set afterwards. A part of punctuation only is nothing.
    shape = " # ".join("" if not part.strip(_PUNCTUATION) else canonical(part) for part in parts)
    words = shape.split()
    return " ".join(words) if len(parts) > 1 and len(words) >= _LEAST_WORDS else None


def with_other_numbers(
    cleaned: Mapping[str, Cleaned],
    train: Mapping[str, TrainFile],
    suite: Mapping[str, DatasetSpec],
    source: Source,
) -> dict[str, Overlap]:
    """Return the overlap of every dataset of a mix, with the rows that the rule detects among the remaining ones.

    Args:
        cleaned: the remaining rows, by dataset.
        train: training rows, by dataset.
        suite: the datasets with which the rows are compared.
        source: where the evaluation rows come from.
    """
    overlap = {name: {other: dict(rules) for other, rules in item.overlap.items()} for name, item in cleaned.items()}
    chosen = [name for name in cleaned if suite[name].family in PROBLEMS]
    if all(suite[name].suite == DEFAULT for name in cleaned) or not chosen:
        return overlap
    shapes = {
        name: _shapes(spec, source)
        for name, spec in suite.items()
        if spec.family in PROBLEMS and any(name in of for of in overlap.values())
    }
    for name in chosen:
        for text in _remaining(cleaned[name], train[name]):
            if (shape := problem_shape(text)) is None:
                continue
            for other, known in shapes.items():
                if shape in known:
                    rules = overlap[name].setdefault(other, {})
                    rules[RULE] = rules.get(RULE, 0) + 1
    return overlap


def _shapes(spec: DatasetSpec, source: Source) -> frozenset[str]:
    examples = load_examples(spec, "eval", source, allow_missing=True).examples
    return frozenset(shape for example in examples if (shape := problem_shape(example.input)) is not None)


def _remaining(item: Cleaned, file: TrainFile) -> "Sequence[str]":
    import numpy as np

    rows = np.union1d(item.train, item.validation)
    texts: list[str] = []
    for start in range(0, len(rows), _BATCH):
        texts += file.texts(rows[start : start + _BATCH])["input"].to_pylist()
    return texts
