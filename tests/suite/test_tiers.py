import itertools
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from cme.errors import UsageError
from cme.suite.tiers import TIERS, tier_order, tier_rows


@dataclass(frozen=True)
class Row:
    id: str
    subset: str


def rows(**sizes):
    return [Row(f"{subset}-{k}", subset) for subset, size in sizes.items() for k in range(size)]


def test_the_tiers():
    assert [tier_rows(name) for name in ("smoke", "quick", "standard", "full")] == [8, 64, 500, None]
    with pytest.raises(UsageError, match=r"unknown tier 'quik'\. Did you mean 'quick'"):
        tier_rows("quik")


def test_a_smaller_tier_is_a_prefix_of_a_larger_one():
    order = tier_order(rows(r1=1000, r2=1000, r3=1200))
    limits = [limit for limit in TIERS.values() if limit]
    picked = [[row.id for row in order[:limit]] for limit in limits]
    assert all(large[: len(small)] == small for small, large in itertools.pairwise(picked))
    assert sorted(row.id for row in order) == sorted(row.id for row in rows(r1=1000, r2=1000, r3=1200))


def test_the_order_does_not_depend_on_the_order_of_the_rows():
    stored = rows(easy=30, challenge=20)
    shuffled = random.Random(1).sample(stored, len(stored))
    assert shuffled != stored
    assert tier_order(shuffled) == tier_order(stored)
    assert tier_order(stored) != stored


@pytest.mark.parametrize("first", [8, 64, 500, 777])
def test_every_prefix_holds_the_parts_in_proportion(first):
    sizes = {"r1": 1000, "r2": 1000, "r3": 1200, "tiny": 16}
    found = Counter(row.subset for row in tier_order(rows(**sizes))[:first])
    total = sum(sizes.values())
    for subset, size in sizes.items():
        assert abs(found[subset] - first * size / total) <= 1


def test_the_interleaving_by_hand():
    # Midpoints of equal steps: a at 1/8, 3/8, 5/8, 7/8; b at 1/4, 3/4.
    assert "".join(row.subset for row in tier_order(rows(b=2, a=4))) == "abaaba"


def test_the_pick_within_a_part_is_no_run_of_stored_rows():
    # Files are often sorted by label or source: the first rows of the file must not be the tier.
    picked = {int(row.id.split("-")[1]) for row in tier_order(rows(x=1000))[:64]}
    assert len([k for k in picked if k < 500]) in range(16, 49)


def test_one_more_row_changes_only_its_own_place_within_the_part():
    few, many = tier_order(rows(x=99)), tier_order(rows(x=100))
    assert [row for row in many if row.id != "x-99"] == few


def test_no_rows_is_no_order():
    assert tier_order([]) == []
