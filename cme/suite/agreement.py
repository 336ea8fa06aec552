"""How predicted options agree with the gold ones: confusion tables, and accuracy with Cohen's kappa per subset."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import UsageError
from cme.records.samples import read_samples
from cme.stats import clustered_stderr
from cme.suite.score import Sample
from cme.suite.spec import DatasetSpec, dataset, datasets
from cme.suite.suites import ALL

__all__ = [
    "ClassScore",
    "Confusion",
    "SubsetScore",
    "confusion",
    "confusion_of_result",
    "subset_scores",
    "subset_scores_of_result",
]


@dataclass(frozen=True)
class ClassScore:
    """How one class was predicted.

    Attributes:
        label: the label word, or the letter of the option where options differ between examples.
        precision: share of the predictions of this class that are right, in [0, 1]; None if it was never predicted.
        recall: share of the class that was predicted, in [0, 1]; None if it is never gold.
        f1: harmonic mean of both, in [0, 1]; None if the class is neither gold nor predicted.
        support: examples whose gold answer is this class.
        predicted: examples for which this class was predicted.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    predicted: int


@dataclass(frozen=True)
class Confusion:
    """The confusion table of one dataset.

    Attributes:
        dataset: name of the dataset.
        n: number of examples.
        labels: names of the classes, in label order.
        counts: ``counts[gold][predicted]`` is a number of examples.
        classes: one score per class, in label order.
        accuracy: share of right predictions, in [0, 1].
        macro_f1: mean F1 of the classes that are gold or predicted, in [0, 1].
        kappa: Cohen's kappa, in [-1, 1]; None if it is undefined because gold and predicted are one and the same class.
    """

    dataset: str
    n: int
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    classes: tuple[ClassScore, ...]
    accuracy: float
    macro_f1: float
    kappa: float | None

    def to_frame(self) -> Any:
        """Make a `pandas.DataFrame` of the counts: one row per gold answer, one column per predicted answer."""
        import pandas as pd

        gold, predicted = pd.Index(self.labels, name="gold"), pd.Index(self.labels, name="predicted")
        return pd.DataFrame(self.counts, index=gold, columns=predicted)


@dataclass(frozen=True)
class SubsetScore:
    """The accuracy of one subset, such as a subject of MMLU.

    Attributes:
        dataset: name of the dataset.
        subset: name of the subset.
        n: number of examples.
        accuracy: share of right predictions, in [0, 1].
        stderr: its standard error, clustered as in the dataset's score; None for fewer than two clusters.
        chance: expected accuracy of a guess, in [0, 1].
        kappa: Cohen's kappa between the predicted and the gold option, in [-1, 1]. A model that always chooses the same
            option gets 0, whatever its accuracy. None if it is undefined.
    """

    dataset: str
    subset: str
    n: int
    accuracy: float
    stderr: float | None
    chance: float
    kappa: float | None


def confusion_of_result(folder: Path, name: str) -> Confusion:
    """Return the confusion table of one dataset of a result.

    Args:
        folder: a folder that ``cme eval`` wrote.
        name: the dataset, whose answers are options.

    Returns:
        The table.

    Raises:
        CMEError: the folder has no readable samples.
        UsageError: the dataset does not exist, was not evaluated, or has free-text answers.

    Example:
        >>> confusion_of_result(Path("results/lora"), "qqp").macro_f1  # doctest: +SKIP
        0.78
    """
    spec = dataset(name)
    rows = read_samples(folder / "samples.parquet")
    samples = [row for row in rows if row["dataset"] == spec.name]
    if not samples:
        evaluated = ", ".join(sorted({row["dataset"] for row in rows}))
        raise UsageError(f"{folder} has no samples of {spec.name}. It has: {evaluated}.")
    return confusion(samples, spec)


def subset_scores_of_result(folder: Path) -> list[SubsetScore]:
    """Score every subset of the choice datasets in a result.

    Args:
        folder: a folder that ``cme eval`` wrote.

    Returns:
        The scores, in the order of the suite and of the subsets' names.

    Raises:
        CMEError: the folder has no readable samples.
        UsageError: no choice dataset of the result has several subsets.

    Example:
        >>> subset_scores_of_result(Path("results/lora"))[0].subset  # doctest: +SKIP
        'arc_challenge'
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for row in read_samples(folder / "samples.parquet"):
        groups[row["dataset"]].append(row)
    scores = [
        score
        for name, spec in datasets(ALL, beside=True).items()
        if name in groups
        for score in subset_scores(groups[name], spec)
    ]
    if not scores:
        raise UsageError(f"{folder} has no choice dataset with several subsets, such as MMLU with its subjects.")
    return scores


def confusion(samples: Sequence[Sample], spec: DatasetSpec) -> Confusion:
    """Count gold against predicted options, with precision, recall and F1 per class.

    Args:
        samples: at least one, all of this dataset.
        spec: the dataset, whose answers are options.

    Returns:
        The table, with rows for gold and columns for predicted classes.

    Raises:
        UsageError: the dataset has free-text answers.
    """
    if spec.kind != "choice":
        raise UsageError(f"{spec.name} has free-text answers. A confusion table needs a dataset with answer options.")
    import numpy as np
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    from cme.suite.metrics import macro_f1

    gold, predicted = _answers(samples)
    labels = spec.choices or _letters(samples, spec)
    indices = list(range(len(labels)))
    counts = confusion_matrix(gold, predicted, labels=indices)
    # NaN marks what is undefined; zero would read as a measured value.
    scores = precision_recall_fscore_support(gold, predicted, labels=indices, zero_division=np.nan)
    classes = [
        ClassScore(
            label=label,
            precision=_defined(precision),
            recall=_defined(recall),
            f1=_defined(f1),
            support=int(support),
            predicted=int(counts[:, index].sum()),
        )
        for index, (label, precision, recall, f1, support) in enumerate(zip(labels, *scores, strict=True))
    ]
    return Confusion(
        dataset=spec.name,
        n=len(samples),
        labels=tuple(labels),
        counts=tuple(tuple(map(int, row)) for row in counts),
        classes=tuple(classes),
        accuracy=float(accuracy_score(gold, predicted)),
        macro_f1=macro_f1(list(zip(gold, predicted, strict=True))),
        kappa=_kappa(gold, predicted),
    )


def _letters(samples: Sequence[Sample], spec: DatasetSpec) -> tuple[str, ...]:
    """Return the letters of all options. Some rows have more options than most rows of their dataset."""
    most = max(spec.options, *(int(sample["options"]) for sample in samples))
    return tuple(chr(ord("A") + index) for index in range(most))


def subset_scores(samples: Sequence[Sample], spec: DatasetSpec) -> list[SubsetScore]:
    """Score every subset of a choice dataset, such as MMLU's subjects.

    Args:
        samples: all of this dataset.
        spec: the dataset, whose answers are options.

    Returns:
        One score per subset, sorted by name; none if the dataset has free-text answers or a single subset.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample["part"]].append(sample)
    if spec.kind != "choice" or len(groups) < 2:
        return []
    return [_subset_score(spec.name, name, group) for name, group in sorted(groups.items())]


def _subset_score(dataset: str, name: str, samples: Sequence[Sample]) -> SubsetScore:
    from sklearn.metrics import accuracy_score

    gold, predicted = _answers(samples)
    right = [float(sample["score"]) for sample in samples]
    return SubsetScore(
        dataset=dataset,
        subset=name,
        n=len(samples),
        accuracy=float(accuracy_score(gold, predicted)),
        stderr=clustered_stderr(right, [sample["cluster"] for sample in samples]),
        chance=sum(1 / sample["options"] for sample in samples) / len(samples),
        kappa=_kappa(gold, predicted),
    )


def _answers(samples: Sequence[Sample]) -> tuple[list[int], list[int]]:
    return [int(sample["gold"]) for sample in samples], [int(sample["predicted"]) for sample in samples]


def _kappa(gold: Sequence[int], predicted: Sequence[int]) -> float | None:
    if len({*gold, *predicted}) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(gold, predicted))


def _defined(value: Any) -> float | None:
    return None if value != value else float(value)
