"""Agreement between the predictions of a result and the gold answers."""

from typing import TYPE_CHECKING

from cme.api.call import StrPath, path, public

if TYPE_CHECKING:
    from cme.suite.agreement import Confusion, SubsetScore

__all__ = ["confusion_table", "subset_scores"]


@public
def confusion_table(result: StrPath, dataset: str) -> "Confusion":
    """Count gold answers against predicted answers of one dataset: ``cme show RESULT --dataset X --confusion``.

    Args:
        result: a result, or its folder.
        dataset: name of a choice dataset in it.

    Returns:
        The counts, with precision, recall and F1 per class. `Confusion.to_frame` returns the counts as a frame.

    Raises:
        CMEError: if the result has no samples of the dataset, or its answers are free text.

    Example:
        >>> result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte")
        >>> cme.confusion_table(result, "rte").n
        8
    """
    from cme.suite.agreement import confusion_of_result

    return confusion_of_result(path(result), dataset)


@public
def subset_scores(result: StrPath) -> "list[SubsetScore]":
    """Score every subset of a result's choice datasets, such as the subjects of MMLU: ``cme score RESULT --subsets``.

    Args:
        result: a result, or its folder.

    Returns:
        One object per subset with accuracy, its standard error, chance and Cohen's kappa. ``pandas.DataFrame(...)`` accepts
        the list.

    Raises:
        CMEError: if no dataset of the result has several subsets.

    Example:
        >>> result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="arc")
        >>> [item.subset for item in cme.subset_scores(result)]
        ['arc_challenge', 'arc_easy']
    """
    from cme.suite.agreement import subset_scores_of_result

    return subset_scores_of_result(path(result))
