"""How many rows each dataset gives."""

from collections.abc import Mapping

from cme.errors import UsageError

__all__ = ["solve_cap"]


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
    total = sum(sizes.values())
    if size is None or size == total:
        return None, dict(sizes)
    if size > total:
        raise UsageError(f"{size:,} rows were asked for, but only {total:,} are left. Ask for --size {total} or fewer.")
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
