"""What a sample says of itself beside its scores: it must fit the dataset that it is of, and its own answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from cme.errors import DataError
from cme.suite import datasets
from cme.suite.score import Sample
from cme.suite.spec import DatasetSpec

__all__ = ["check_answers"]

_ROUNDING = 1e-9


def check_answers(samples: Sequence[Sample], where: str) -> None:
    """Check samples against the rules that they were scored by.

    The score that counts is the one of the dataset's primary metric; of a choice it follows from the chosen and the right
    option. Family, part and the names of the scores are the dataset's.

    Args:
        samples: of datasets that this CME knows.
        where: what they belong to, for the message.

    Raises:
        DataError: a sample says otherwise.
    """
    known = datasets(beside=True)
    parts = {name: {part.name for part in spec.parts} for name, spec in known.items()}
    for sample in samples:
        name = sample["dataset"]
        if problem := _problem(sample, known[name], parts[name]):
            raise DataError(f"{where}: sample {sample['id']!a} of {name}: {problem}. Evaluate again.")


def _problem(sample: Sample, spec: DatasetSpec, parts: set[str]) -> str | None:
    # Parts by a column (MMLU's subjects) are as many as it has values.
    named = sample["part"].isprintable() if spec.part_by else sample["part"] in parts
    if sample["family"] != spec.family or not named:
        return f"family {sample['family']!a} and part {sample['part']!a} are not the dataset's"
    scores: Mapping[str, Any] = sample["scores"]
    if set(scores) != set(spec.metrics):
        return f"it has the scores {', '.join(map(ascii, sorted(scores)))}; expected {', '.join(spec.metrics)}"
    if abs(sample["score"] - scores[spec.primary_metric]) > _ROUNDING:
        return f"score is {sample['score']:.12g}, and its {spec.primary_metric} {scores[spec.primary_metric]:.12g}"
    if (spec.kind == "choice") != bool(sample["options"]):
        return f"it has {sample['options']} options, and the dataset is {spec.kind}"
    if spec.kind == "choice" and sample["score"] != float(sample["gold"] == sample["predicted"]):
        return (
            f"score is {sample['score']:g}, and option {sample['predicted']} was chosen where {sample['gold']} is right"
        )
    return _choice_problem(sample, spec) if spec.kind == "choice" else _text_problem(sample, spec)


def _choice_problem(sample: Sample, spec: DatasetSpec) -> str | None:
    """What no softmax over the options of an item of the dataset gives."""
    options, gold = sample["options"], sample["gold_probability"]
    right = sample["gold"] == sample["predicted"]
    # Label words are fixed; of lettered options a few items of ARC have one more or one fewer than the others.
    if options < 2 or abs(options - spec.options) > (0 if spec.choices else 1):
        return f"it has {options} options, and the dataset {spec.options}"
    if wrong := [name for name, value in sample["scores"].items() if abs(value - float(right)) > _ROUNDING]:
        return f"{wrong[0]} is {sample['scores'][wrong[0]]:g}, and the choice is {'right' if right else 'wrong'}"
    if right and gold < 1 / options - _ROUNDING:
        return f"the right option was chosen with probability {gold:g}, and one of {options} options has more"
    if not right and gold > 1 / 2 + _ROUNDING:
        return f"another option was chosen, and the right one has probability {gold:g}"
    if sample["empty"] or sample["truncated"]:
        return "a choice is neither empty nor truncated"
    return None


def _text_problem(sample: Sample, spec: DatasetSpec) -> str | None:
    """Scores that no text has together."""
    scores = sample["scores"]
    if "exact_match" in scores:
        exact, overlap = scores["exact_match"], scores["f1"]
        if exact not in (0.0, 1.0):
            return f"exact_match is {exact:g}; it is 0 or 1"
        # TriviaQA's script gives an F1 of 0 where nothing is left of both sides.
        least = 0.0 if spec.answer_normalisation == "triviaqa" and overlap == 0 else exact
        if overlap < least - _ROUNDING:
            return f"f1 is {overlap:g} with an exact match"
    if "rougeL" in scores and "rouge1" in scores:
        if scores["rougeL"] > scores["rouge1"] + _ROUNDING:
            return f"rougeL is {scores['rougeL']:g}, above rouge1 ({scores['rouge1']:g})"
        if sample["empty"] and max(scores.values()) > _ROUNDING:
            return "the empty summary has a score above 0"
    return None
