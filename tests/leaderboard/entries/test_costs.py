"""Ranks of a row, by its settings and its record, and which training times are compared."""

import pytest

from cme.leaderboard.entries.board import load_entries
from cme.leaderboard.entries.costs import cost_of, experts_of, run_ratios, total_rank
from cme.paths import leaderboards_dir
from cme.records import AdapterRecord, MeasuredRatios


def test_the_total_rank_of_a_method_of_another_package_is_as_declared():
    (entry,) = [one for one in load_entries(leaderboards_dir() / "demo" / "entries") if one.name == "moelora"]
    rank, experts = entry.settings.rank, entry.settings.experts
    elsewhere = entry.replace(settings=AdapterRecord(method="mycore", rank=rank, experts=experts))
    assert total_rank(entry) == total_rank(elsewhere) == rank * experts
    assert total_rank(elsewhere.replace(ranks="shared")) == rank
    single = elsewhere.replace(settings=AdapterRecord(method="myrank", rank=8), ranks="single")
    assert (total_rank(single), experts_of(single)) == (8, (8, 1))
    assert "ranks" not in entry.plain() and single.plain()["ranks"] == "single"


def test_a_row_with_experts_by_layer_has_no_total_rank():
    (entry,) = [one for one in load_entries(leaderboards_dir() / "demo" / "entries") if one.name == "moelora"]
    options = {"experts_pattern": {"up_proj": 2}}
    assert total_rank(entry.replace(settings=AdapterRecord(method="mola", rank=8, experts=8, options=options))) is None


def of_demo(name):
    (entry,) = [one for one in load_entries(leaderboards_dir() / "demo" / "entries") if one.name == name]
    return entry.replace(cost_ratios=MeasuredRatios())


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 16}, {"gradient_accumulation": 2}, {"max_length": 2048}, {"gradient_checkpointing": True},
        {"train_on_prompt": True}, {"dtype": "float32"},
    ],
    ids=str,
)  # fmt: skip
def test_times_of_trainings_that_do_other_work_are_not_compared(changes):
    lora, team = of_demo("lora"), of_demo("moelora")
    same = team.replace(recipe=team.recipe.model_copy(update={"learning_rate": 0.5, "warmup": 0.5}))
    assert run_ratios([lora, same])["moelora"].value == cost_of(team).seconds / cost_of(lora).seconds
    other = team.replace(recipe=team.recipe.model_copy(update=changes))
    assert run_ratios([lora, other]).keys() == {"lora"}


def test_times_on_another_mix_are_not_compared():
    lora, team = of_demo("lora"), of_demo("moelora")
    assert "moelora" in run_ratios([lora, team])
    for count in (1, len(team.runs)):
        runs = [
            run.replace(
                provenance=run.provenance.model_copy(
                    update={"training": run.provenance.training.model_copy(update={"mix_fingerprint": "a" * 64})}
                )
            )
            for run in team.runs[:count]
        ]
        assert run_ratios([lora, team.replace(runs=(*runs, *team.runs[count:]))]).keys() == {"lora"}
