"""Published methods without a name in CME: the message says why, or how they are trained."""

import re
from pathlib import Path

import pytest

from cme.adapters import METHODS, settings_from
from cme.adapters.peft_facts import PEFT_METHODS
from cme.adapters.refused import REFUSED, plain_name
from cme.errors import UsageError
from cme.training import load_recipe


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lora-fa", "PEFT's optimiser for it knows plain LoRA only"),
        ("LoRA_FA", "PEFT's optimiser for it knows plain LoRA only"),
        ("mix-lora", "whole feed-forward blocks"),
        ("LoRAMoE", "'moelora'"),
        ("goat", "changes the base's weights at the start"),
        ("r-lora", "changes the base's weights at the start"),
        ("rlora", "changes the base's weights at the start"),
        ("hmora", "reads the prompt without the answer"),
        ("remix", "reinforcement learning"),
        ("denselora", "adds nothing to the base"),
        ("moore", "needs the task of every row"),
        ("poly", "needs the task of every row"),
        ("mtl_lora", "needs the task of every row"),
        ("lily", "over the batch and all positions"),
    ],
)
def test_a_refused_method_is_not_taken_for_a_misspelt_one(name, reason):
    with pytest.raises(UsageError) as raised:
        settings_from({"method": name})
    assert str(raised.value).startswith(f"the method {name!r} is not available, because ")
    assert reason in str(raised.value) and "Did you mean" not in str(raised.value)


@pytest.mark.parametrize("name", [*PEFT_METHODS, "LoRA-plus", "IA³", "DoRA"])
def test_a_method_of_peft_points_to_its_recipe(name):
    with pytest.raises(UsageError) as raised:
        settings_from({"method": name})
    message = str(raised.value)
    (recipe,) = re.findall(r"recipe '(\S+)'", message)
    load_recipe(recipe, {"data": "mix"})
    assert "Did you mean" not in message
    assert ("b_learning_rate_ratio" if recipe == "lora-plus-r32" else "--peft-config") in message


def test_no_name_is_both_a_method_and_refused():
    spelt = {plain_name(name) for name in (*REFUSED, *PEFT_METHODS)}
    assert len(spelt) == len(REFUSED) + len(PEFT_METHODS)
    assert not spelt & {plain_name(name) for name in METHODS}


def test_the_page_lists_the_refused_methods():
    page = (Path(__file__).parents[2] / "docs" / "methods.md").read_text()
    table = page.split("## Methods that CME does not have")[1].split("\n## ")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    names = [
        re.sub(r"\(.*?\)|[\[\]]", "", name) for cell in first for name in re.sub(r"\(\[.*?\)\)", "", cell).split(",")
    ]
    assert {plain_name(name) for name in names} == {plain_name(name) for name in REFUSED}
