"""Checks of single samples: their fields must match the dataset's definition and the sample's own answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from cme.errors import DataError
from cme.suite import datasets
from cme.suite.score import Sample
from cme.suite.spec import DatasetSpec
from cme.suite.suites import ALL

__all__ = ["check_answers"]

_ROUNDING = 1e-9


def check_answers(samples: Sequence[Sample], where: str) -> None:
    """Check samples against the scoring rules of their datasets.

    A sample's score must be that of the dataset's primary metric. For a choice it must follow from the chosen and the right
    option. Family, subset and the names of the scores must be the dataset's.

    Args:
        samples: Samples of datasets that this version of CME knows.
        where: What the samples belong to, for the message.

    Raises:
        DataError: A sample contradicts these rules.
    """
    known = datasets(ALL, beside=True)
    subsets = {name: {subset.name for subset in spec.subsets} for name, spec in known.items()}
    for sample in samples:
        name = sample["dataset"]
        if problem := _problem(sample, known[name], subsets[name]):
            raise DataError(f"{where}: sample {sample['id']!a} of {name}: {problem}. Evaluate again.")


def _problem(sample: Sample, spec: DatasetSpec, subsets: set[str]) -> str | None:
    # Subsets that are defined by a column (MMLU's subjects) may have any printable name.
    named = sample["part"].isprintable() if spec.subset_column else sample["part"] in subsets
    if sample["family"] != spec.family or not named:
        return f"the dataset has no family {sample['family']!a} with subset {sample['part']!a}"
    scores: Mapping[str, Any] = sample["scores"]
    if set(scores) != set(spec.metrics):
        return f"it has the scores {', '.join(map(ascii, sorted(scores)))}; expected {', '.join(spec.metrics)}"
    if abs(sample["score"] - scores[spec.primary_metric]) > _ROUNDING:
        return f"score is {sample['score']:.12g}, but its {spec.primary_metric} is {scores[spec.primary_metric]:.12g}"
    if (spec.kind == "choice") != bool(sample["options"]):
        return f"it has {sample['options']} options, but the dataset's kind is {spec.kind}"
    if spec.kind == "choice" and sample["score"] != float(sample["gold"] == sample["predicted"]):
        return f"score is {sample['score']:g}, but option {sample['predicted']} was chosen and option {sample['gold']} is right"
    return _choice_problem(sample, spec) if spec.kind == "choice" else _text_problem(sample, spec)


def _choice_problem(sample: Sample, spec: DatasetSpec) -> str | None:
    """Find values that no softmax over the options of a sample can give."""
    options, gold = sample["options"], sample["gold_probability"]
    right = sample["gold"] == sample["predicted"]
    # Label words are fixed. With lettered options, a few samples of ARC have one option more or fewer than the others.
    if options < 2 or abs(options - spec.options) > (0 if spec.choices else 1):
        return f"it has {options} options, but the dataset has {spec.options}"
    if wrong := [name for name, value in sample["scores"].items() if abs(value - float(right)) > _ROUNDING]:
        return f"{wrong[0]} is {sample['scores'][wrong[0]]:g}, but the choice is {'right' if right else 'wrong'}"
    if right and gold < 1 / options - _ROUNDING:
        return (
            f"the right option was chosen with probability {gold:g}, but the most probable of {options} options has at least "
            f"1/{options}"
        )
    if not right and gold > 1 / 2 + _ROUNDING:
        return f"a wrong option was chosen, although the right option has probability {gold:g}"
    if sample["empty"] or sample["truncated"]:
        return "the sample is a choice, which cannot be empty or truncated"
    return None


def _text_problem(sample: Sample, spec: DatasetSpec) -> str | None:
    """Find scores that no text can have together."""
    scores = sample["scores"]
    if spec.runs_code:
        return _program_problem(sample)
    if "exact_match" in scores:
        exact, overlap = scores["exact_match"], scores["f1"]
        if exact not in (0.0, 1.0):
            return f"exact_match is {exact:g}; expected 0 or 1"
        # TriviaQA's script gives an F1 of 0 if normalisation leaves both answers empty.
        least = 0.0 if spec.answer_normalisation == "triviaqa" and overlap == 0 else exact
        if overlap < least - _ROUNDING:
            return f"f1 is {overlap:g}, although the answer matches exactly"
    if spec.answer == "number":
        flexible, strict, marked = (scores[name] for name in ("flexible_match", "strict_match", "marked"))
        if {flexible, strict, marked} - {0.0, 1.0}:
            return "its matches and its mark are not 0 or 1"
        if strict != flexible * marked:
            return f"strict_match is {strict:g}, but flexible_match is {flexible:g} and marked is {marked:g}"
        if sample["empty"] and (flexible or marked):
            return "the answer has no number, but a match or a mark"
    if "rougeL" in scores and "rouge1" in scores:
        if scores["rougeL"] > scores["rouge1"] + _ROUNDING:
            return f"rougeL is {scores['rougeL']:g}, which is above rouge1 ({scores['rouge1']:g})"
        if sample["empty"] and max(scores.values()) > _ROUNDING:
            return "the summary is empty, but has a score above 0"
    return None


def _program_problem(sample: Sample) -> str | None:
    """Find outcomes that no program can have together. Programs are not executed again."""
    scores = sample["scores"]
    if wrong := [name for name, value in scores.items() if value not in (0.0, 1.0)]:
        return f"{wrong[0]} is {scores[wrong[0]]:g}; expected 0 or 1"
    if (count := sum(scores.values())) != 1:
        return f"its program has {count:g} outcomes; expected 1"
    if sample["empty"] and not scores.get("error"):
        return "its answer has no program, but another outcome than error"
    return None
