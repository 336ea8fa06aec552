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
    return None
