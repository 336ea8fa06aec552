"""Recipes and settings: what a user writes, overrides and gets wrong."""

import subprocess
import sys
from dataclasses import fields

import pytest

from cme.adapters import AdapterSettings
from cme.errors import UsageError
from cme.train import TrainSettings, load_recipe, recipe_text, recipes


def test_a_resolved_configuration_is_a_recipe_that_gives_the_same_settings(tmp_path):
    training = TrainSettings(data="mix", learning_rate=1e-5, steps=7, prompt_format="chat", threads=2)
    adapter = AdapterSettings("teamlora", rank=4, alpha=8.0, target_modules=("up_proj",), gate_scale="experts")
    (tmp_path / "config.yaml").write_text(recipe_text(training, adapter))
    assert load_recipe(tmp_path / "config.yaml") == (training, adapter)


def test_flags_override_the_recipe_and_steps_take_the_place_of_epochs(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("training: {data: here, epochs: 2, learning_rate: 2e-4}\nadapter: {method: lora, rank: 4}\n")
    training, adapter = load_recipe(file, {"steps": 9, "rank": 16, "seed": None, "data": "there"})
    assert (training.steps, training.epochs, training.data, training.learning_rate) == (9, None, "there", 2e-4)
    assert (adapter.method, adapter.rank) == ("lora", 16)


def test_every_mistake_is_named_at_once(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(
        "training: {learning_rte: 1.0, batch_size: many, schedule: cosinus, warmup: 2, epochs: 1, steps: 5}\n"
        "adapter: {method: lora, ranc: 4, experts: 2}\n"
        "trainer: {}\n"
    )
    with pytest.raises(UsageError) as raised:
        load_recipe(file, {"batch_sise": 3})
    message = str(raised.value)
    for part in (
        "unknown section 'trainer'",
        "unknown key 'learning_rte' (did you mean 'learning_rate'?)",
        "batch_size: expected int, found 'many'",
        "schedule: must be one of cosine, linear, constant, found 'cosinus'",
        "warmup: must be a share of the steps",
        "epochs and steps are both given",
        "data: missing",
        "unknown key 'ranc' (did you mean 'rank'?)",
        "lora has no such setting",
        "unknown setting 'batch_sise' (did you mean 'batch_size'?)",
    ):
        assert part in message


def test_an_unknown_recipe_gets_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'demo-lora'"):
        load_recipe("demo-lorra")
    with pytest.raises(UsageError, match=r"no recipe nowhere/x\.yaml"):
        load_recipe("nowhere/x.yaml")


@pytest.mark.parametrize(
    "name", ["demo-lora", "demo-teamlora", "lora-r32", "lora-r128", "teamlora-r16", "teamlora-r32"]
)
def test_the_recipes_that_come_with_cme_are_valid(name):
    training, adapter = load_recipe(name, {"data": "mix"})
    assert training.check() is None and name in recipes()
    assert adapter.method == name.split("-")[-1 if name.startswith("demo") else 0]


def test_demo_recipes_train_adapters_of_equal_rank_in_the_same_way():
    (lora, plain), (team, routed) = (load_recipe(name, {"data": "mix"}) for name in ("demo-lora", "demo-teamlora"))
    assert lora == team and plain.rank == routed.rank * routed.experts == 32


def test_no_name_is_in_both_sections():
    assert not {field.name for field in fields(TrainSettings)} & {field.name for field in fields(AdapterSettings)}


def test_settings_are_read_without_torch():
    program = "import sys, cme.train; cme.train.recipes(); print('torch' in sys.modules, 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
