"""Tiers: the numbers of evaluated samples per dataset. The samples of a smaller tier are a prefix of a larger tier's."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, TypeVar

from cme.errors import UsageError, unknown

__all__ = ["TIERS", "is_tier_order", "tier_order", "tier_rows"]

TIERS: dict[str, int | None] = {"smoke": 8, "quick": 64, "standard": 500, "full": None}
"""Samples per dataset; None means all. Tier smoke is too small for standard errors."""


class _Row(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def subset(self) -> str: ...


R = TypeVar("R", bound=_Row)


def tier_rows(tier: str) -> int | None:
    """Return the number of samples per dataset of a tier, or None for all.

    Raises:
        UsageError: there is no such tier.
    """
    if not isinstance(tier, str):
        raise UsageError(f"the tier is {tier!r}. Give one of {', '.join(TIERS)}, in quotes.")
    if tier not in TIERS:
        raise unknown("tier", tier, TIERS)
    return TIERS[tier]


def tier_order(rows: Sequence[R]) -> list[R]:
    """Order rows so that the first n rows represent the dataset, for every n.

    Within each subset, rows are sorted by a hash of their id. The subsets are then interleaved in proportion to their sizes.
    """
    subsets: dict[str, list[R]] = defaultdict(list)
    for row in rows:
        subsets[row.subset].append(row)
    placed: list[tuple[float, str, int, R]] = []
    for subset, members in subsets.items():
        members.sort(key=_place)
        placed += [((k + 0.5) / len(members), subset, k, row) for k, row in enumerate(members)]
    placed.sort(key=lambda item: item[:3])
    return [row for _, _, _, row in placed]


def is_tier_order(rows: Sequence[_Row]) -> bool:
    """Return whether the rows of each subset have the order of `tier_order`. The rows may be those of any tier."""
    last: dict[str, bytes] = {}
    for row in rows:
        place = _place(row)
        if place < last.get(row.subset, b""):
            return False
        last[row.subset] = place
    return True


def _place(row: _Row) -> bytes:
    return hashlib.sha256(f"tier:{row.id}".encode()).digest()
