"""Confusion tables and kappa, on cases worked out by hand."""

import pytest

from cme.errors import UsageError
from cme.suite import dataset
from cme.suite.agreement import confusion, subset_scores


def rows(pairs, *, part="p", options=2):
    return [
        {
            "id": f"{part}-{number}",
            "part": part,
            "cluster": f"{part}-{number}",
            "score": float(gold == predicted),
            "options": options,
            "gold": gold,
            "predicted": predicted,
        }
        for number, (gold, predicted) in enumerate(pairs)
    ]


def test_confusion_of_two_classes():
    # Gold 1: four; predicted 1: three; both: two.
    table = confusion(rows([(1, 1), (1, 1), (1, 0), (1, 0), (0, 1), (0, 0)]), dataset("qqp"))
    assert table.counts == ((1, 1), (2, 2))
    assert table.labels == ("not duplicate", "duplicate")
    second = table.classes[1]
    assert (second.label, second.support, second.predicted) == ("duplicate", 4, 3)
    assert (second.precision, second.recall, second.f1) == pytest.approx((2 / 3, 1 / 2, 4 / 7))
    assert table.accuracy == 0.5 and table.n == 6
    assert table.macro_f1 == pytest.approx((4 / 7 + 2 / 5) / 2)
    # Expected agreement: (2 · 3 + 4 · 3) / 36 = 1/2, observed 1/2.
    assert table.kappa == pytest.approx(0.0)


@pytest.mark.filterwarnings("error")
def test_what_is_undefined_is_none_and_no_zero():
    table = confusion(rows([(0, 0), (0, 0)]), dataset("qqp"))
    never = table.classes[1]
    assert (never.precision, never.recall, never.f1, never.support) == (None, None, None, 0)
    assert table.kappa is None and table.macro_f1 == 1.0
    wrong = confusion(rows([(0, 1), (0, 1)]), dataset("qqp"))
    assert (wrong.classes[0].precision, wrong.classes[0].recall, wrong.classes[0].f1) == (None, 0.0, 0.0)


def test_options_without_words_are_letters():
    table = confusion(rows([(0, 3), (2, 2)], options=4), dataset("mmlu"))
    assert table.labels == ("A", "B", "C", "D") and table.counts[0][3] == 1


def test_every_row_is_counted_where_some_rows_have_more_options_than_most():
    four, five = rows([(0, 3), (2, 2)], options=4), rows([(4, 4), (1, 4), (4, 0)], part="q", options=5)
    table = confusion([*four, *five], dataset("arc"))
    assert table.labels == ("A", "B", "C", "D", "E") and table.n == 5
    assert sum(map(sum, table.counts)) == 5
    assert (table.counts[4][4], table.counts[1][4], table.counts[4][0]) == (1, 1, 1)
    last = table.classes[4]
    assert (last.label, last.support, last.predicted, last.precision, last.recall) == ("E", 2, 2, 0.5, 0.5)
    assert confusion(four, dataset("arc")).labels == ("A", "B", "C", "D")


def test_free_text_has_no_confusion_table():
    with pytest.raises(UsageError, match="nq_open has free-text answers"):
        confusion([], dataset("nq_open"))


def test_subsets_are_scored_one_by_one():
    astronomy = rows([(0, 0), (1, 1), (2, 2), (3, 0)], part="astronomy", options=4)
    always_a = rows([(0, 0), (0, 0), (1, 0)], part="virology", options=4)
    first, second = subset_scores([*always_a, *astronomy], dataset("mmlu"))
    assert (first.subset, first.n, first.accuracy, first.chance) == ("astronomy", 4, 0.75, 0.25)
    # Observed 3/4; expected (1 · 2 + 1 + 1 + 0) / 16 = 1/4: kappa (3/4 − 1/4) / (1 − 1/4).
    assert first.kappa == pytest.approx(2 / 3)
    assert second.accuracy == pytest.approx(2 / 3) and second.kappa == pytest.approx(0.0)
    assert first.stderr == pytest.approx((4 / 3 * (3 * 0.25**2 + 0.75**2)) ** 0.5 / 4)


def test_a_dataset_without_subsets_has_no_subset_scores():
    assert subset_scores(rows([(0, 0), (1, 1)]), dataset("qqp")) == []
    assert subset_scores([], dataset("nq_open")) == []
