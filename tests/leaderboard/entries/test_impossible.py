"""Samples, recipes and trainings that no model and no run can have given."""

import dataclasses
import re

import pytest

from cme.errors import DataError
from cme.leaderboard import audit
from cme.leaderboard.entries.samples import check_answers
from tests.leaderboard.tampering import edit, refusal
from tests.leaderboard.workshop import make_samples


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "qqp",
            {"gold_probability": 0.0},
            "the right option was chosen with probability 0, but the most probable of 2 options has at least 1/2",
        ),
        (
            "arc",
            {"gold_probability": 0.24},
            "the right option was chosen with probability 0.24, but the most probable of 4 options",
        ),
        (
            "qqp",
            {"gold": 1, "gold_probability": 0.51},
            "a wrong option was chosen, although the right option has probability 0.51",
        ),
        ("anli", {"options": 2}, "it has 2 options, but the dataset has 3"),
        ("winogrande", {"options": 4}, "it has 4 options, but the dataset has 2"),
        ("commonsense_qa", {"options": 3}, "it has 3 options, but the dataset has 5"),
        ("qqp", {"empty": True}, "the sample is a choice, which cannot be empty or truncated"),
        (
            "squad_v2",
            {"scores": {"f1": 0.5, "exact_match": 1.0}, "score": 0.5},
            "f1 is 0.5, although the answer matches exactly",
        ),
        ("squad_v2", {"scores": {"f1": 0.5, "exact_match": 0.5}, "score": 0.5}, "exact_match is 0.5; expected 0 or 1"),
        (
            "tldr",
            {"scores": {"rougeL": 0.5, "rouge1": 0.4, "rouge2": 0.1, "rougeLsum": 0.5}, "score": 0.5},
            "above rouge1",
        ),
        ("tldr", {"empty": True}, "the summary is empty, but has a score above 0"),
    ],
)
def test_samples_that_no_model_gives(name, change, message):
    (row,) = make_samples(1.0, "sure", rows=1, names=(name,))
    check_answers([row], "here")
    if "gold" in change:
        row |= {"score": 0.0, "scores": {"acc": 0.0}, "predicted": 0}
    with pytest.raises(DataError, match=re.escape(message)):
        check_answers([row | change], "here")


@pytest.mark.parametrize("options", [3, 4, 5])
def test_items_of_arc_differ_in_their_options(options):
    (row,) = make_samples(1.0, "sure", rows=1, names=("arc",))
    check_answers([row | {"options": options}], "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["recipe"].update(learning_rate=-0.1), "learning_rate"),
        (lambda v: v["recipe"].update(learning_rate=0), "learning_rate"),
        (lambda v: v["recipe"].update(learning_rate="fast"), "learning_rate"),
        (lambda v: v["recipe"].update(batch_size=2.5), "batch_size"),
        (lambda v: v["recipe"].update(warmup=7), "warmup"),
        (lambda v: v["recipe"].update(weight_decay=-1), "weight_decay"),
        (lambda v: v["recipe"].update(train_on_prompt="no"), "train_on_prompt"),
        (lambda v: v.update(recipe={"bake": "at 200 degrees"}), "recipe"),
        (lambda v: v["recipe"].update(steps=7), "it took 100 steps, but the recipe has 7"),
        (
            lambda v: v["task_fingerprints"].update(gsm9k="a" * 64),
            "task_fingerprints names 'gsm9k', which is not a dataset",
        ),
        (lambda v: v["task_fingerprints"].update(mmlu="a" * 64), "task_fingerprints names mmlu, which was not scored"),
        (lambda v: v["runs"][0]["provenance"].pop("data"), "data"),
        (lambda v: v["runs"][0]["provenance"].update(data={}), "data"),
        (lambda v: v["runs"][0]["provenance"]["data"].pop("anli"), "provenance.data lacks anli"),
        (lambda v: v["runs"][0]["provenance"]["data"].update(anli={}), "anli"),
        (lambda v: v["runs"][0]["provenance"]["data"].update(anli=3), "anli"),
        (lambda v: v["runs"][0]["provenance"]["training"].update(validation_loss="low"), "validation_loss"),
        (lambda v: v["runs"][0]["provenance"]["training"].update(validation_loss=-1.0), "validation_loss"),
        (lambda v: v["runs"][0]["provenance"]["training"].update(examples=-5), "examples"),
    ],
)
def test_what_no_training_has_made(small, change, message):
    edit(small, change)
    assert message in refusal(small)


GRID_RUN = {"folder": "a", "last_loss": 1.0, "problem": None}


@pytest.mark.parametrize(
    "change",
    [
        {"validation_loss": "0.5"},
        {"last_loss": "low"},
        {"last_loss": -1.0},
        {"grad_norm": -1.0},
        {"learning_rate": "2e-4"},
    ],
)
def test_losses_and_rates_of_a_grid_are_numbers(small, change):
    runs = [
        GRID_RUN | {"learning_rate": 2e-4, "validation_loss": 0.5},
        GRID_RUN | {"learning_rate": 1e-3, "validation_loss": 0.7},
    ]
    grid = {"method": "lora", "steps": 100, "runs": runs, "best": "a", "learning_rate": 2e-4, "at_edge": True}
    edit(small, lambda v: v.update(lr_grid=grid))
    assert all(verdict.ok for verdict in audit(small.entries))
    runs[0] |= change
    edit(small, lambda v: v.update(lr_grid=grid))
    assert next(iter(change)) in refusal(small)


def test_a_recipe_has_the_settings_of_training():
    from cme.leaderboard.entries.impossible import RECIPE
    from cme.training.settings import TrainSettings

    kept = {"data", "base", "seed", "save_every", "keep_checkpoints", "logging_steps", "threads", "report_to"}
    assert set(RECIPE) == {field.name for field in dataclasses.fields(TrainSettings)} - kept
