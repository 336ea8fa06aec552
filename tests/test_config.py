from dataclasses import asdict, field, replace
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from cme.config import Items, Model, build, one_of, problem_of, validated
from cme.errors import CMEError, DataError, UsageError
from cme.problems import MissingHint


class Layer(Model):
    name: str
    rank: int


@validated("settings of a recipe")
class Recipe:
    rank: Annotated[int, Field(ge=1)]
    alpha: float = 16.0
    targets: Items[str] = ()
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    quant: Literal["int8"] | None = None
    layers: Items[int] | None = None
    shares: dict[str, float] = field(default_factory=dict)
    steps: Items[Items[int]] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    merge: bool = False
    scale: float | str = 1.0
    names: Items[str] | str | None = None
    schedule: Annotated[str, one_of(("cosine", "linear"))] = "cosine"
    inner: Items[Layer] = ()
    rate: Annotated[float, Field(gt=0)] | None = None


def make(**values):
    return build(Recipe, values, "recipe demo.yaml")


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
        ({"rank": 8, "scale": None}, "scale: expected float or str, found None"),
        ({"rank": 8, "names": 3}, "names: expected a list or str or nothing, found 3"),
        ({"rank": 8, "names": ["a", 3]}, "names: item 2: expected str, found 3"),
        ({"rank": 0}, "rank: must be at least 1, found 0"),
        ({"rank": 8, "seed": -1}, "seed: must be at least 0 and below 4294967296, found -1"),
        ({"rank": 8, "rate": 0}, "rate: must be above 0, found 0"),
        ({"rank": 8, "alpha": float("nan")}, "alpha: must be a finite number, found nan"),
        ({"rank": 8, "rate": float("inf")}, "rate: must be above 0, found inf"),
        ({"rank": 8, "schedule": "sine"}, "schedule: must be one of cosine, linear, found 'sine'"),
        ({"rank": 8, "schedule": 1}, "schedule: expected str, found 1"),
        ({"rank": 8, "inner": [{"name": "x", "rnk": 1}]}, "inner: item 1: unknown key 'rnk' (did you mean 'rank'?)"),
        ({"rank": 8, "inner": [{"name": "x"}]}, "inner: item 1: missing key 'rank'"),
        ({"rank": 8, "inner": [3]}, "inner: item 1: expected a mapping, found 3"),
        ({"rank": 8, "shares": [1]}, "shares: expected a mapping, found [1]"),
        ({"rank": 8, "shares": {1: 0.5}}, "shares: key 1: expected str, found 1"),
    ],
)
def test_wrong_types_are_told(values, says):
    with pytest.raises(UsageError) as caught:
        make(**values)
    assert says in str(caught.value)


def test_the_class_of_error_is_the_callers():
    with pytest.raises(DataError):
        build(Recipe, {}, "here", error=DataError)
    assert not issubclass(DataError, UsageError) and issubclass(DataError, CMEError)


def test_python_gets_the_message_that_a_file_gets():
    with pytest.raises(UsageError) as from_file:
        build(Recipe, {"rank": "8", "sed": 1}, "settings of a recipe")
    with pytest.raises(UsageError) as constructed:
        Recipe(rank="8", sed=1)
    assert str(constructed.value) == str(from_file.value)
    assert constructed.value.__cause__ is None and constructed.value.__suppress_context__


def test_settings_are_dataclasses():
    recipe = Recipe(8, 2)
    assert replace(recipe, rank=4) == Recipe(4, alpha=2.0)
    assert asdict(recipe)["rank"] == 8 and hash(Layer(name="a", rank=1)) == hash(Layer(name="a", rank=1))
    with pytest.raises(UsageError, match="rank: must be at least 1, found 0"):
        replace(recipe, rank=0)


def test_a_missing_field_may_say_what_to_do():
    @validated("settings of a run")
    class Run:
        data: Annotated[str, MissingHint("missing; give a folder")]

    with pytest.raises(UsageError, match=r"^settings of a run: data: missing; give a folder\.$"):
        Run()


def test_what_is_wrong_with_a_file_stands_in_one_line():
    with pytest.raises(CMEError, match=r"^a\.json: name: expected str, found 1; missing key 'rank'\.$"):
        build(Layer, {"name": 1}, "a.json", error=CMEError)


@pytest.mark.parametrize(
    ("value", "hint", "says"),
    [
        (3, int, None),
        ([1, 2], tuple[int, ...], None),
        ({"a": [1]}, dict[str, tuple[int, ...]] | None, None),
        ("3", int, "expected int, found '3'"),
        ([1, "2"], list[int] | None, "item 2: expected int, found '2'"),
    ],
)
def test_a_value_beside_a_type(value, hint, says):
    assert problem_of(value, hint) == says
