"""How many rows each dataset gives."""

import heapq
from collections.abc import Mapping
from decimal import Decimal, localcontext
from math import isfinite

from cme.errors import UsageError, unknown

__all__ = ["MIXINGS", "share_rows", "solve_cap"]

MIXINGS = ("proportional", "temperature", "uniform")
"""Ways to share rows out, see `share_rows`."""


def share_rows(
    sizes: Mapping[str, int], size: int | None, mixing: str = "proportional", temperature: float = 2.0
) -> tuple[int | None, dict[str, int]]:
    """Share ``size`` rows out between datasets; no row is ever given twice.

    - ``proportional``: in proportion to n up to a limit, min(n, K): `solve_cap`.
    - ``temperature``: in proportion to n^(1/T). A dataset that has fewer rows than its share gives them all; what then
      lacks is shared out among the others by the same rule. T = 1 is in proportion to n without a limit; the larger T,
      the more alike the numbers.
    - ``uniform``: the same number from each. A dataset that has fewer gives them all, and the others share the rest.

    Whole rows go one by one to the dataset that is furthest behind its share (Webster's method), so a larger size never
    gives a dataset fewer rows. Where the size is given, ``uniform`` is ``proportional``: sharing out what small datasets
    lack ends at min(n, K). The two differ without a size.

    Args:
        sizes: rows there are, by dataset.
        size: rows wanted in all. None: all of them (``proportional``), or the largest mix in the exact proportions, where
            the smallest dataset gives all its rows and none falls short of its share (``temperature``, ``uniform``;
            datasets without rows aside).
        mixing: one of `MIXINGS`.
        temperature: T, at least 1; 2 did best for most tasks of the source.

    Returns:
        K (None if there is no common limit) and the rows each dataset gives.

    Raises:
        UsageError: there are fewer rows than ``size``, no such mixing, or the temperature is below 1 or infinite.

    Source: section 3.5.2 of arXiv 1910.10683.
    """
    if mixing not in MIXINGS:
        raise unknown("mixing", mixing, MIXINGS)
    if not (isfinite(temperature) and temperature >= 1):
        raise UsageError(
            f"temperature must be a number of at least 1, not {temperature}. "
            "1 shares rows out in proportion to the datasets' sizes; for equal numbers use --mixing uniform."
        )
    if mixing == "proportional":
        return solve_cap(sizes, size)
    if mixing == "uniform":
        present = [count for count in sizes.values() if count]
        return solve_cap(sizes, len(present) * min(present, default=0) if size is None else size)
    return None, _by_temperature(sizes, size, temperature)


def _by_temperature(sizes: Mapping[str, int], size: int | None, temperature: float) -> dict[str, int]:
    if size is not None:
        _check_size(sizes, size)
    # Decimals are the same on every machine; the last bits of a float's power are not.
    with localcontext(prec=40):
        weights = {name: Decimal(count) ** (1 / Decimal(temperature)) for name, count in sizes.items() if count}
        if not weights:
            return dict(sizes)
        if size is None:
            level = min(sizes[name] / weight for name, weight in weights.items())
            size = int((level * sum(weights.values())).to_integral_value())
        level = _level(sizes, weights, size)
        # Rounding moves the total by less than a row per dataset, so no dataset ends more than that below its share.
        rows = {name: max(0, min(sizes[name], int(level * weight)) - len(weights)) for name, weight in weights.items()}
        waiting = [((rows[name] + Decimal("0.5")) / weight, -sizes[name], name) for name, weight in weights.items()]
        heapq.heapify(waiting)
        for _ in range(size - sum(rows.values())):
            _, _, name = heapq.heappop(waiting)
            rows[name] += 1
            if rows[name] < sizes[name]:
                heapq.heappush(waiting, ((rows[name] + Decimal("0.5")) / weights[name], -sizes[name], name))
    return {name: rows.get(name, 0) for name in sizes}


def _level(sizes: Mapping[str, int], weights: Mapping[str, Decimal], size: int) -> Decimal:
    """The factor L with Σ min(n, L · weight) = size."""
    left, total = Decimal(size), sum(weights.values(), Decimal(0))
    level = Decimal(0)
    for name in sorted(weights, key=lambda name: sizes[name] / weights[name]):
        level = left / total
        if sizes[name] > level * weights[name]:
            break
        left -= sizes[name]
        total -= weights[name]
    return level


def _check_size(sizes: Mapping[str, int], size: int) -> None:
    if size > (total := sum(sizes.values())):
        raise UsageError(f"{size:,} rows were requested, but only {total:,} are left. Ask for --size {total} or fewer.")


def solve_cap(sizes: Mapping[str, int], size: int | None) -> tuple[int | None, dict[str, int]]:
    """Share ``size`` rows out in proportion to the datasets' sizes, up to a limit: each gives min(n, K).

    K is the largest limit whose sum does not exceed ``size``. What is still lacking, fewer rows than datasets are
    capped, is given one by one to the largest capped datasets (of equal ones, the first by name), so the total is
    exactly ``size``.

    Args:
        sizes: rows there are, by dataset.
        size: rows wanted in all; None: all of them.

    Returns:
        K (None if no dataset is capped) and the rows each dataset gives.

    Raises:
        UsageError: there are fewer rows than ``size``.

    Source: examples-proportional mixing, section 3.5.2 of arXiv 1910.10683.
    """
    if size is None or size == sum(sizes.values()):
        return None, dict(sizes)
    _check_size(sizes, size)
    left, cap = size, 0
    waiting = sorted(sizes.values())
    while waiting:
        cap = left // len(waiting)
        if waiting[0] > cap:
            break
        left -= waiting.pop(0)
    rows = {name: min(count, cap) for name, count in sizes.items()}
    capped = sorted((name for name, count in sizes.items() if count > cap), key=lambda name: (-sizes[name], name))
    for name in capped[: size - sum(rows.values())]:
        rows[name] += 1
    return cap, rows
