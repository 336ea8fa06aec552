import time

import pytest

from cme.errors import AdapterError, UsageError
from cme.patterns import check_pattern, full_matches

NAMES = ["model.layers.0.mlp.up_proj", "model.layers.0.mlp.down_proj", "model.layers.0.self_attn.q_proj", "up_proj"]


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
    started = time.monotonic()
    with pytest.raises(UsageError, match=r"target_modules: the pattern .* takes more than 1 s for 1 names"):
        full_matches(pattern, ["a" * 60 + "!"], "target_modules", seconds=1)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "pattern", ["(", "[a", "a{1000000000000}", "*", "(?P<a>x)(?P<a>y)", "\\", "(" * 3000 + ")" * 3000]
)
def test_what_is_no_pattern(pattern):
    with pytest.raises(AdapterError, match="is not a valid regular expression"):
        check_pattern(pattern, "target_modules", error=AdapterError)


def test_a_long_pattern():
    with pytest.raises(UsageError, match="10,000 characters"):
        full_matches("a" * 10_001, NAMES, "target_modules")
