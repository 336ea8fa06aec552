from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from cme.config import from_mapping
from cme.errors import CMEError, DataError, UsageError


@dataclass(frozen=True)
class Recipe:
    rank: int
    alpha: float = 16.0
    targets: tuple[str, ...] = ()
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int | None = None
    quant: Literal["int8"] | None = None
    layers: tuple[int, ...] | None = None
    shares: dict[str, float] = field(default_factory=dict)
    steps: tuple[tuple[int, ...], ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    merge: bool = False


def make(**values):
    return from_mapping(Recipe, values, "recipe demo.yaml")


def test_values_arrive_in_the_fields_types():
    recipe = make(
        rank=8, alpha=2, targets=["up_proj", "down_proj"], shares={"qqp": 1}, steps=[[1, 2], [3]], notes={"a": [1]}
    )
    assert recipe == Recipe(
        rank=8, alpha=2.0, targets=("up_proj", "down_proj"), shares={"qqp": 1.0}, steps=((1, 2), (3,)), notes={"a": [1]}
    )
    assert type(recipe.alpha) is float and type(recipe.shares["qqp"]) is float


def test_an_unknown_key_names_the_nearest_one():
    with pytest.raises(UsageError, match=r"recipe demo\.yaml: unknown key 'rnak' \(did you mean 'rank'\?\)"):
        make(rank=8, rnak=4)


def test_an_unknown_key_unlike_any_other_gets_the_list():
    with pytest.raises(UsageError, match=r"unknown key 'zzzzzz' .known: rank, alpha, targets, dtype, seed, quant"):
        make(rank=8, zzzzzz=4)


def test_all_errors_come_at_once():
    with pytest.raises(UsageError) as caught:
        make(alpha="much", dtype="int4", sed=1, merge=1)
    message = str(caught.value)
    assert "alpha: expected float, found 'much'" in message
    assert "dtype: expected one of 'float32', 'bfloat16', found 'int4'" in message
    assert "unknown key 'sed' (did you mean 'seed'?)" in message
    assert "merge: expected bool, found 1" in message
    assert "missing key 'rank'" in message


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"rank": True}, "rank: expected int, found True"),
        ({"rank": 8.0}, "rank: expected int, found 8.0"),
        ({"rank": None}, "rank: expected int, found None"),
        ({"rank": 8, "seed": "x"}, "seed: expected int or nothing, found 'x'"),
        ({"rank": 8, "quant": "int4"}, "quant: expected one of 'int8' or nothing, found 'int4'"),
        ({"rank": 8, "layers": [0, "1"]}, "layers: item 2: expected int, found '1'"),
        ({"rank": 8, "targets": "up_proj"}, "targets: expected a list, found 'up_proj'"),
        # YAML reads a bare yes as True.
        ({"rank": 8, "targets": ["up_proj", True]}, "targets: item 2: expected str, found True"),
        ({"rank": 8, "shares": {"qqp": "half"}}, "shares: 'qqp': expected float, found 'half'"),
        ({"rank": 8, "steps": [[1, "2"]]}, "steps: item 1: item 2: expected int, found '2'"),
    ],
)
def test_wrong_types_are_told(values, says):
    with pytest.raises(UsageError) as caught:
        make(**values)
    assert says in str(caught.value)


def test_the_class_of_error_is_the_callers():
    with pytest.raises(DataError):
        from_mapping(Recipe, {}, "here", error=DataError)
    assert not issubclass(DataError, UsageError) and issubclass(DataError, CMEError)
