"""How often tables of equally good methods with few seeds show a false difference, and how often intervals hold the score.

``python -m tests.stats.test_seed_simulation`` prints the table of all scenarios, and with ``paired`` that of paired seeds.
"""

import math
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from tests.stats.seed_tables import LEVELS, Errors, measure_errors

ROWS, SEEDS = (2, 3, 6, 12), (2, 3, 5)
SPREADS = ("0", "1", "2", "3", "graded", "one noisy")
COMMON = (0.0, 0.5, 0.9)
TABLES = 2000


def spreads_of(name: str, rows: int) -> list[float]:
    """Standard deviations between seeds, in points, of the rows of a scenario."""
    if name == "graded":
        return np.linspace(0.5, 3, rows).tolist()
    if name == "one noisy":
        return [1.0] * (rows - 1) + [3.0]
    return [float(name)] * rows


def run(rows: int, seeds: int | Sequence[int], spread: str, tables: int, common: float | None = None) -> Errors:
    counts = [seeds] * rows if isinstance(seeds, int) else list(seeds)
    rng = np.random.default_rng([rows, sum(counts), SPREADS.index(spread)])
    return measure_errors(rng, tables, counts, spreads_of(spread, rows), common)


def check(errors: Errors, *, rows: int, strict: bool, tables: int) -> None:
    """Compare with the promised rates. ``strict``: equal spreads with three or more seeds."""
    for level, share in zip(LEVELS, errors.family, strict=True):
        allowed = level if strict else 1.3 * level
        assert share <= allowed + 2 * math.sqrt(allowed * (1 - allowed) / tables)
    noise = 2 * math.sqrt(0.05 * 0.95 / tables / rows)
    assert 0.93 - noise <= errors.coverage <= 0.99 + noise
    least = 0.91 if rows >= 6 else 0.88
    assert errors.lowest >= least - 2 * math.sqrt(least * (1 - least) / tables / max(rows // 3, 1))


@pytest.mark.long
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("rows", ROWS)
def test_false_differences_are_rare_and_intervals_hold(rows, seeds, spread):
    errors = run(rows, seeds, spread, TABLES)
    check(errors, rows=rows, strict=seeds > 2 and spread.isdigit(), tables=TABLES)


@pytest.mark.parametrize(("rows", "seeds", "spread"), [(2, 3, "2"), (3, 5, "1"), (6, 3, "3"), (6, 2, "graded")])
def test_false_differences_are_rare_and_intervals_hold_in_fewer_tables(rows, seeds, spread):
    errors = run(rows, seeds, spread, 400)
    check(errors, rows=rows, strict=seeds > 2 and spread.isdigit(), tables=400)


@pytest.mark.long
@pytest.mark.parametrize("spread", ["1", "2", "3"])
@pytest.mark.parametrize("seeds", [(3, 3, 1, 1), (5, 1), (3, 3, 3, 1, 1, 1), (2, 2, 2, 1)])
def test_methods_with_one_seed_beside_methods_with_several(seeds, spread):
    errors = run(len(seeds), seeds, spread, TABLES)
    check(errors, rows=len(seeds), strict=min(count for count in seeds if count > 1) > 2, tables=TABLES)


@pytest.mark.long
@pytest.mark.parametrize("common", COMMON)
@pytest.mark.parametrize("spread", ["1", "3", "graded", "one noisy"])
@pytest.mark.parametrize(("rows", "seeds"), [(3, 3), (6, 2), (6, 3), (12, 2), (12, 3), (2, 5)])
def test_false_differences_are_rare_if_seeds_are_paired(rows, seeds, spread, common):
    errors = run(rows, seeds, spread, TABLES, common)
    check(errors, rows=rows, strict=seeds > 2 and spread.isdigit(), tables=TABLES)


@pytest.mark.long
@pytest.mark.parametrize("common", COMMON)
@pytest.mark.parametrize("seeds", [(2, 2, 2, 2, 2, 2, 1), (3, 3, 3, 3, 3, 2), (4, 4, 4, 3, 2, 2)])
def test_intervals_hold_if_some_rows_have_fewer_of_the_shared_seeds(seeds, common):
    errors = run(len(seeds), seeds, "3", TABLES, common)
    check(errors, rows=len(seeds), strict=False, tables=TABLES)


@pytest.mark.parametrize(("rows", "seeds", "spread", "common"), [(3, 3, "3", 0.5), (6, 3, "2", 0.0), (6, 2, "1", 0.9)])
def test_false_differences_are_rare_if_seeds_are_paired_in_fewer_tables(rows, seeds, spread, common):
    errors = run(rows, seeds, spread, 400, common)
    check(errors, rows=rows, strict=seeds > 2, tables=400)


def test_a_variance_of_the_rows_own_seeds_alone_would_fail(monkeypatch):
    """The simulation detects intervals that do not borrow from the table, as they were before."""
    from cme.stats import variance

    def own(panel, weights):
        seeds = variance.seed_variances(panel, weights)
        divisor = np.asarray(panel.seeds) - 1
        averages = weights @ panel.means
        spread = panel.over_seeds(np.square(averages - panel.over_runs(panel.over_seeds(averages)))) / divisor
        noise = seeds.observed - seeds.variance
        alone = np.maximum(spread - noise, 0.0)
        return variance.Seeds(alone, alone, divisor.astype(float), seeds.pooled)

    for module in ("cme.stats.compare", "cme.stats.estimate"):
        monkeypatch.setattr(sys.modules[module], "seed_variances", own)
    errors = run(6, 2, "2", 400)
    assert errors.family[0] > 0.065
    assert errors.lowest < 0.88


if __name__ == "__main__":
    choices = COMMON if "paired" in sys.argv else (None,)
    print(
        "| rows | seeds | spread | common | "
        + " | ".join(f"false at {level:g}" for level in LEVELS)
        + " | coverage | lowest third |"
    )
    for rows in ROWS:
        for seeds in SEEDS:
            for spread in SPREADS:
                for common in choices:
                    measured = run(rows, seeds, spread, TABLES, common)
                    shares = [*measured.family, measured.coverage, measured.lowest]
                    print(
                        f"| {rows} | {seeds} | {spread} | {common} | "
                        + " | ".join(f"{100 * x:.1f}" for x in shares)
                        + " |",
                        flush=True,
                    )
