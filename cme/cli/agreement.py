"""Confusion tables and subset scores on the terminal."""

from dataclasses import asdict
from pathlib import Path

from cme.cli.app import emit_json
from cme.cli.tables import show_table

__all__ = ["show_confusion", "show_subsets"]


def show_confusion(folder: Path, name: str, *, as_json: bool) -> None:
    """Print the confusion table of one dataset of a result, with precision, recall and F1 per class.

    Args:
        folder: a folder that ``cme eval`` wrote.
        name: the dataset.
        as_json: print JSON instead.

    Raises:
        UsageError: the result has no samples of the dataset, or its answers are free text.
    """
    import cme

    result = cme.confusion_table(folder, name)
    if as_json:
        emit_json(asdict(result))
        return
    print(f"{result.dataset}: {result.n} examples. Rows are gold answers, columns are predicted answers.\n")
    lines = [[label, *counts] for label, counts in zip(result.labels, result.counts, strict=True)]
    show_table(["gold \\ predicted", *result.labels], lines)
    print()
    classes = [
        [item.label, _percent(item.precision), _percent(item.recall), _percent(item.f1), item.support, item.predicted]
        for item in result.classes
    ]
    show_table(["class", "precision %", "recall %", "F1 %", "gold", "predicted"], classes)
    print(
        f"\naccuracy {_percent(result.accuracy)} %, macro F1 {_percent(result.macro_f1)} %, "
        f"Cohen's kappa {_kappa(result.kappa)}"
    )


def show_subsets(folder: Path, *, as_json: bool) -> None:
    """Print accuracy and Cohen's kappa of every subset of the choice datasets in a result, such as MMLU's subjects.

    Args:
        folder: a folder that ``cme eval`` wrote.
        as_json: print JSON instead.

    Raises:
        UsageError: no dataset of the result has several subsets.
    """
    import cme

    scores = cme.subset_scores(folder)
    if as_json:
        emit_json([asdict(score) for score in scores])
        return
    lines = [
        [
            item.dataset,
            item.subset,
            item.n,
            _percent(item.accuracy),
            _percent(item.stderr),
            _percent(item.chance),
            _kappa(item.kappa),
        ]
        for item in scores
    ]
    show_table(["dataset", "subset", "n", "accuracy %", "± stderr", "chance %", "Cohen's kappa"], lines)
    print("\nCohen's kappa is 1 for perfect agreement and 0 for chance, or for a model that always picks one option.")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _kappa(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
