"""The text of a stopping rule."""

import pytest

from cme.errors import UsageError
from cme.stats.until import INTERIM_LEVEL, LAST_LEVEL, LOOKS, Until


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("0.5", Until(0.5)),
        (" ±0.5 ", Until(0.5)),
        ("+-2", Until(2)),
        ("decided:0.5", Until(0.5, decided=True)),
        ("decided:±1", Until(1, decided=True)),
    ],
)
def test_rules_are_read(text, rule):
    assert Until.parse(text) == rule
    assert Until.parse(str(rule)) == rule


@pytest.mark.parametrize("text", ["", "decided", "decided:", "sure:0.5", "half", "0.5 points", "decided:decided:1"])
def test_unknown_words_are_refused(text):
    with pytest.raises(UsageError, match=r"such as 0\.5 or decided:0\.5"):
        Until.parse(text)


@pytest.mark.parametrize("text", ["0", "-0.5", "nan", "inf", "decided:-1"])
def test_the_half_width_must_be_above_zero(text):
    with pytest.raises(UsageError, match="above 0"):
        Until.parse(text)


def test_the_levels_of_all_looks_sum_to_five_percent():
    assert pytest.approx(0.05) == INTERIM_LEVEL * (LOOKS - 1) + LAST_LEVEL
