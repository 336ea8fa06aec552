"""The adapter's settings on the command line."""

import pytest

from cme.cli.adapter_options import adapter_options
from cme.errors import UsageError
from cme.training import load_recipe


@adapter_options
def command(out, *, adapter, last=None):
    return out, adapter, last


def given(**values):
    names = [name for name in command.__signature__.parameters if name not in ("out", "last")]
    return command(out="x", last=1, **(dict.fromkeys(names) | values))[1]


def test_the_options_stand_in_the_parameters_place():
    names = list(command.__signature__.parameters)
    assert names[:2] == ["out", "method"] and names[-1] == "last" and "options" in names and "adapter" not in names


def test_only_what_was_given_is_passed_on():
    assert given() == {}
    assert given(rank=3, competition=False, target_modules="a, b", gate_scale="2") == {
        "rank": 3,
        "competition": False,
        "target_modules": ["a", "b"],
        "gate_scale": 2.0,
    }
    assert given(gate_scale="experts") == {"gate_scale": "experts"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("key=2", 2),
        ("key=2e-4", 2e-4),
        ("key=0.5", 0.5),
        ("key=true", True),
        ("key=word", "word"),
        ("key='2'", "2"),
        ("key=a=b", "a=b"),
        ("key=[a, 1]", ["a", 1]),
        ("key={a: 1}", {"a": 1}),
        ("key=", None),
        (" key = 2", 2),
    ],
)
def test_set_takes_values_as_in_a_recipe(text, value):
    options = given(options=[text, "other=1"])["options"]
    assert options == {"key": value, "other": 1} and type(options["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"), [("key", "is not KEY=VALUE"), ("=2", "is not KEY=VALUE"), ("key=[", "is not valid YAML")]
)
def test_what_set_cannot_read(cme, text, message):
    with pytest.raises(UsageError, match=message):
        given(options=[text])
    refused = cme("params", "--set", text)
    assert refused.exit_code == 2 and message in refused.stderr


def test_a_field_is_set_once(cme):
    with pytest.raises(UsageError, match=r"--set: top_k is given twice\. Give each field once\."):
        given(options=["top_k=2", " top_k = 4"])
    refused = cme("params", "--method", "mola", "--set", "top_k=2", "--set", "top_k=2")
    assert refused.exit_code == 2 and "top_k is given twice" in refused.stderr


def test_set_adds_to_a_recipes_options(tmp_path):
    recipe = tmp_path / "mine.yaml"
    options = "{init_r: 40, tinit: 3}"
    recipe.write_text(f"training: {{data: mix}}\nadapter: {{method: adalora, rank: 4, options: {options}}}\n")
    _, adapter = load_recipe(recipe, {"options": {"tinit": 5, "deltaT": 2}})
    assert adapter.options == {"init_r": 40, "tinit": 5, "deltaT": 2}
