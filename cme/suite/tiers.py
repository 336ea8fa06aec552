"""Tiers: how many rows of each dataset are evaluated. Nested and deterministic: a smaller tier is a prefix of a larger one."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, TypeVar

from cme.errors import unknown

__all__ = ["TIERS", "tier_order", "tier_rows"]

TIERS: dict[str, int | None] = {"smoke": 8, "quick": 64, "standard": 500, "full": None}
"""Rows per dataset; None is all of them. Smoke carries no standard error: it is too small for one."""


class _Row(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def part(self) -> str: ...


R = TypeVar("R", bound=_Row)


def tier_rows(tier: str) -> int | None:
    """Rows per dataset of a tier (None: all).

    Raises:
        UsageError: no such tier.
    """
    if tier not in TIERS:
        raise unknown("tier", tier, TIERS)
    return TIERS[tier]


def tier_order(rows: Sequence[R]) -> list[R]:
    """Order rows so that the first n are a fair sample for every n.

    Within each part rows are ordered by a hash of their id; the parts are then interleaved in proportion to their sizes.
    """
    parts: dict[str, list[R]] = defaultdict(list)
    for row in rows:
        parts[row.part].append(row)
    placed: list[tuple[float, str, int, R]] = []
    for part, members in parts.items():
        members.sort(key=lambda row: hashlib.sha256(f"tier:{row.id}".encode()).digest())
        placed += [((k + 0.5) / len(members), part, k, row) for k, row in enumerate(members)]
    placed.sort(key=lambda item: item[:3])
    return [row for _, _, _, row in placed]
