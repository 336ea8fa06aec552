import re

import pytest

from cme.errors import AdapterError, UsageError
from cme.patterns import check_pattern, check_patterns, full_matches

NAMES = ["model.layers.0.mlp.up_proj", "model.layers.0.mlp.down_proj", "model.layers.0.self_attn.q_proj", "up_proj"]
LAYERS = [f"model.layers.{number}.mlp.up_proj" for number in range(30)]
BOMB = r"(([a-z]|\.|[0-9]|_)+)+!"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r".*\.(up|down)_proj", NAMES[:2]),
        (r"^(?!.*mlp).*_proj$", NAMES[2:]),
        ("up_proj", NAMES[3:]),
        ("up", []),
        (".*", NAMES),
        ("", []),
        (r"(?i).*Q_PROJ", NAMES[2:3]),
    ],
)
def test_names_match_from_end_to_end(pattern, expected):
    assert full_matches(pattern, NAMES, "target_modules") == expected


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(.*a){30}$", "(a*)*b"])
def test_a_bomb_ends_in_one_message(pattern):
    # Without a limit, it would not end.
    with pytest.raises(UsageError, match=r"target_modules: the pattern .* takes more than 1 s for 1 names"):
        full_matches(pattern, ["a" * 60 + "!"], "target_modules", seconds=1)


@pytest.mark.parametrize(
    "pattern", ["(", "[a", "a{1000000000000}", "*", "(?P<a>x)(?P<a>y)", "\\", "(" * 3000 + ")" * 3000]
)
def test_invalid_patterns(pattern):
    with pytest.raises(AdapterError, match="is not a valid regular expression"):
        check_pattern(pattern, "target_modules", error=AdapterError)


def test_a_long_pattern():
    with pytest.raises(UsageError, match="10,000 characters"):
        full_matches("a" * 10_001, NAMES, "target_modules")


@pytest.mark.parametrize(
    "values",
    [
        {"target_modules": r".*\.mlp\..*_proj"},
        {"target_modules": "all-linear"},
        {"target_modules": ["up_proj"], "exclude_modules": r".*\.0\..*"},
        {"rank_pattern": {"up_proj": 4, r".*\.3\.mlp\.up_proj": 2}, "alpha_pattern": {}},
        {"layers_pattern": ["layers", "h"]},
        {"layers_pattern": None, "rank_pattern": None},
    ],
)
def test_usual_patterns_of_a_configuration(values):
    check_patterns(values, LAYERS)


@pytest.mark.parametrize(
    ("values", "field", "pattern"),
    [
        ({"target_modules": "("}, "target_modules", "("),
        ({"exclude_modules": "*"}, "exclude_modules", "*"),
        ({"rank_pattern": {"up_proj": 1, "[": 2}}, "rank_pattern", "["),
        ({"alpha_pattern": {"(?P<": 2}}, "alpha_pattern", "(?P<"),
        ({"layers_pattern": "("}, "layers_pattern", "("),
        ({"target_modules": r".*\.(up|down)_proj", "rank_pattern": {"(": 2}}, "rank_pattern", "("),
    ],
)
def test_the_message_names_the_field_of_a_broken_pattern(values, field, pattern):
    with pytest.raises(UsageError, match=re.escape(f"{field}: {pattern!r} is not a valid regular expression")):
        check_patterns(values, LAYERS)


@pytest.mark.parametrize(
    "values",
    [
        {"target_modules": BOMB},
        {"exclude_modules": BOMB},
        {"rank_pattern": {"a": 1, BOMB: 2}},
        {"layers_pattern": BOMB},
    ],
    ids=["target_modules", "exclude_modules", "rank_pattern", "layers_pattern"],
)
def test_a_bomb_in_a_configuration(values):
    with pytest.raises(UsageError, match=f"{next(iter(values))}: the pattern .* takes more than 1 s for 30 names"):
        check_patterns(values, LAYERS, seconds=1)
