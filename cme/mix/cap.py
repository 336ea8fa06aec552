"""Number of rows that each dataset contributes to a mix."""

import heapq
from collections.abc import Mapping
from decimal import Decimal, localcontext
from math import isfinite

from cme.errors import UsageError, unknown

__all__ = ["MIXINGS", "share_rows", "solve_cap"]

MIXINGS = ("proportional", "temperature", "uniform")
"""Ways to distribute the rows over the datasets, see `share_rows`."""


def share_rows(
    sizes: Mapping[str, int], size: int | None, mixing: str = "proportional", temperature: float = 2.0
) -> tuple[int | None, dict[str, int]]:
    """Distribute ``size`` rows over datasets of n rows each. No row is used twice.

    - ``proportional``: in proportion to n up to a limit K, as in `solve_cap`.
    - ``temperature``: in proportion to n^(1/T). A dataset with fewer rows than its share contributes all of them, and the
      same rule distributes the rest over the other datasets. With T = 1 the numbers are in proportion to n, without a
      limit. A larger T makes the numbers more equal.
    - ``uniform``: the same number from each dataset. A dataset with fewer rows contributes all of them, and the others share
      the rest.

    With a temperature, single rows go to the dataset that is furthest below its share (Webster's method), so a larger size
    never reduces the rows of a dataset. If a size is given, ``uniform`` and ``proportional`` are the same, because both end at
    min(n, K). They differ without a size.

    Args:
        sizes: available rows, by dataset.
        size: number of rows of the mix. None means all rows for ``proportional``. For the other two it means the largest mix in
            exact proportions, in which the smallest dataset that has rows contributes all of them.
        mixing: one of `MIXINGS`.
        temperature: T, at least 1. The value 2 was the best for most tasks of the source.

    Returns:
        K, or None if there is no common limit, and the number of rows of each dataset.

    Raises:
        UsageError: there are fewer rows than ``size``, the mixing does not exist, or the temperature is below 1 or infinite.

    Source: section 3.5.2 of arXiv 1910.10683.
    """
    if mixing not in MIXINGS:
        raise unknown("mixing", mixing, MIXINGS)
    if not (isfinite(temperature) and temperature >= 1):
        raise UsageError(
            f"temperature={temperature} is not valid. Set it to a finite number of at least 1; "
            "use --mixing uniform for equal numbers of rows."
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
    # Decimals are the same on every machine. The last bits of a power of floats can differ.
    with localcontext(prec=40):
        weights = {name: Decimal(count) ** (1 / Decimal(temperature)) for name, count in sizes.items() if count}
        if not weights:
            return dict(sizes)
        if size is None:
            level = min(sizes[name] / weight for name, weight in weights.items())
            size = int((level * sum(weights.values())).to_integral_value())
        level = _level(sizes, weights, size)
        # Rounding changes the total by less than a row per dataset, so no dataset ends further below its share.
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
    """Return the factor L with Σ min(n, L · weight) = size."""
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
        raise UsageError(f"{size:,} rows were requested, but only {total:,} remain. Set --size to {total} or less.")


def solve_cap(sizes: Mapping[str, int], size: int | None) -> tuple[int | None, dict[str, int]]:
    """Distribute ``size`` rows so that a dataset of n rows contributes min(n, K).

    K is the largest limit whose total does not exceed ``size``. The largest capped datasets then contribute one more row each
    until the total is exactly ``size``. Among equal datasets, the first by name comes first.

    Args:
        sizes: available rows, by dataset.
        size: number of rows of the mix; None for all rows.

    Returns:
        K, or None if no dataset is capped, and the number of rows of each dataset.

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
