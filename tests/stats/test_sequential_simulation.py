"""How often sequential comparisons claim a false difference, find a true one, and give an interval that holds it.

``python -m tests.stats.test_sequential_simulation`` prints the table of all scenarios.
"""

import math
import sys

import pytest

from tests.stats.sequential_tables import Outcomes, simulate, student

TABLES = 1000
FEW = 80
RULES = ("decided:0.5", "0.5")


@pytest.fixture(autouse=True)
def fast_resamples(monkeypatch):
    monkeypatch.setattr(sys.modules["cme.stats.compare"], "studentised", student)


def noise(share: float, tables: int) -> float:
    """Two standard errors of a share."""
    return 2 * math.sqrt(share * (1 - share) / tables)


def check_equal_methods(outcomes: Outcomes, tables: int, *, precision: bool) -> None:
    assert outcomes.wrong <= 0.05 + noise(0.05, tables)
    # An interval at the level of a decision is wider than 95 %.
    assert outcomes.coverage >= 0.94 - noise(0.06, tables)
    if precision:
        assert outcomes.coverage <= 0.97 + noise(0.03, tables)


@pytest.mark.long
@pytest.mark.parametrize("rule", RULES)
def test_equal_methods_are_rarely_called_different(rule):
    check_equal_methods(simulate(rule, 0, TABLES), TABLES, precision=rule == "0.5")


@pytest.mark.long
@pytest.mark.parametrize("difference", [0.5, -0.5])
def test_the_interval_holds_a_difference_at_the_half_width(difference):
    outcomes = simulate("0.5", difference, TABLES)
    assert 0.94 - noise(0.06, TABLES) <= outcomes.coverage <= 0.97 + noise(0.03, TABLES)


@pytest.mark.long
@pytest.mark.parametrize(("difference", "power"), [(0.5, 0.4), (1, 0.97), (2, 0.99)])
def test_true_differences_are_decided_with_the_stated_power(difference, power):
    outcomes = simulate("decided:0.5", difference, TABLES)
    assert outcomes.decided >= power - noise(power, TABLES)
    assert outcomes.wrong <= 0.005


@pytest.mark.long
@pytest.mark.parametrize("spread", [0, 1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_equal_methods_with_three_seeds_are_rarely_called_different(rule, spread):
    outcomes = simulate(rule, 0, TABLES, most=5000, seeds=3, spread=spread)
    assert outcomes.wrong <= 0.05 + noise(0.05, TABLES)


@pytest.mark.parametrize(
    ("rule", "seeds", "spread"),
    [pytest.param("decided:1", 1, 0, marks=pytest.mark.long), ("1", 1, 0), ("decided:1", 3, 1)],
)
def test_equal_methods_are_rarely_called_different_in_fewer_tables(rule, seeds, spread):
    outcomes = simulate(rule, 0, FEW, most=1000, seeds=seeds, spread=spread)
    assert outcomes.wrong <= 0.05 + noise(0.05, FEW)


def test_a_true_difference_is_decided_in_fewer_tables():
    outcomes = simulate("decided:0.7", 2, FEW, most=1000)
    assert outcomes.decided >= 0.95
    assert outcomes.wrong == 0


def test_looking_without_correction_would_fail(monkeypatch):
    """The simulation detects looks at the full level."""
    monkeypatch.setattr("cme.stats.sequential.INTERIM_LEVEL", 0.05)
    assert simulate("decided:1", 0, FEW, most=1000).wrong > 0.05 + noise(0.05, FEW)


if __name__ == "__main__":
    sys.modules["cme.stats.compare"].studentised = student  # type: ignore[attr-defined]
    print("| rule | seeds | spread | difference | decided % | wrong % | coverage % | million tokens | looks |")
    scenarios = [(rule, 1, 0.0, difference) for rule in RULES for difference in (0, 0.5, 1, 2, 5)]
    scenarios += [(rule, 3, spread, difference) for rule in RULES for spread in (0, 1, 2) for difference in (0, 4)]
    for rule, seeds, spread, difference in scenarios:
        most = 50_000 if seeds == 1 else 5000
        outcomes = simulate(rule, difference, TABLES, most=most, seeds=seeds, spread=spread)
        shares = [f"{100 * share:.1f}" for share in (outcomes.decided, outcomes.wrong, outcomes.coverage)]
        print(
            f"| {rule} | {seeds} | {spread:g} | {difference:g} | {' | '.join(shares)} | {outcomes.tokens / 1e6:.2f} | "
            f"{outcomes.looks:.1f} |",
            flush=True,
        )
