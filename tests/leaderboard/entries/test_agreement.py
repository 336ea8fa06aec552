"""What stands on a board twice."""

from types import SimpleNamespace

import pytest

from cme.files import digest
from cme.leaderboard import load_entries, make_entry, make_standing
from cme.leaderboard.entries.agreement import across, answered, repeats
from cme.leaderboard.rendering.notes import notes as board_notes
from cme.records import ChosenGrid
from cme.records.samples import read_samples
from tests.leaderboard.tuned import tuned_rows
from tests.leaderboard.workshop import make_samples


@pytest.fixture
def entries(workshop):
    return {entry.name: entry for entry in load_entries(tuned_rows(workshop).entries)}


def copy_of(entry, name):
    """The same adapters under another name, from a grid of learning rates alone."""
    return entry.replace(name=name, lr_grid=None)


def problems(entries):
    answers = {
        entry.name: [answered(make_samples(0.6, f"{entry.method} {k}", names=("qqp",))) for k in range(len(entry.runs))]
        for entry in entries
    }
    return [line for line in across(entries, answers) if "Submit each adapter only once" in line]


def test_a_tuned_row_may_be_the_row_whose_settings_it_chose(entries):
    assert problems([entries["lora"], copy_of(entries["lora"], "lora-plain")]) == []
    assert problems([copy_of(entries["lora"], "lora-plain"), entries["lora"], entries["team"]]) == []


def test_other_rows_with_the_same_weights_are_named(entries):
    first, second = (copy_of(entries["lora"], name) for name in ("first", "second"))
    assert problems([first, second]) == [
        f"first, seed {seed} and second, seed {seed} have the same adapter weights. Submit each adapter only once."
        for seed in (0, 1)
    ]


def test_of_two_tuned_rows_with_the_same_choice_the_first_by_name_counts(entries):
    twin = entries["lora"].replace(name="twin")
    assert problems([twin, entries["lora"]]) == [] and repeats([twin, entries["lora"]]) == {"twin": "lora"}


def test_a_tuned_row_that_shares_some_runs_only_is_named(entries):
    lora = entries["lora"]
    plain = copy_of(lora.replace(runs=lora.runs[:1]), "lora-plain")
    assert problems([lora, plain]) == [
        "lora, seed 0 and lora-plain have the same adapter weights. Submit each adapter only once."
    ]
    assert repeats([lora, plain]) == {}
    assert repeats([lora, copy_of(lora, "lora-plain"), entries["team"]]) == {"lora": "lora-plain"}


ARM = {"rank": 8, "experts": 4, "alpha": 16.0, "gate_sum": 1, "collaboration": True, "competition": True}


def arms(workshop, **settings):
    """Rows of an ablation by name, with the samples of their function: equal functions have equal samples."""
    made = {}
    for name, (method, function, own) in settings.items():
        results, runs = [], []
        for seed in (0, 1):
            adapter = digest([name, seed])
            samples = make_samples(0.6, f"{function} {seed}", names=("qqp", "rte"))
            results.append(workshop.result(f"{name}-{seed}", samples, adapter=adapter))
            runs.append(workshop.run(f"{name}-{seed}", method, adapter=adapter, seed=seed, settings=own))
        made[name] = make_entry(results, runs, workshop.entries, name=name)
    return made


def twice(made, workshop):
    """The messages about what stands on the board twice."""
    answers = {
        name: [
            answered(read_samples(workshop.root / "results" / f"{name}-{run.seed}" / "samples.parquet"))
            for run in entry.runs
        ]
        for name, entry in made.items()
    }
    return [line for line in across(list(made.values()), answers) if "Submit each adapter only once" in line]


def test_arms_of_an_ablation_that_are_the_same_function_count_once(workshop):
    without = {"competition": False}
    moelora = {"rank": 8, "experts": 4, "alpha": 16.0, "gate_scale": 1.0}
    made = arms(
        workshop,
        both=("teamlora", "competes", ARM),
        competition=("teamlora", "competes", ARM | {"collaboration": False}),
        neither=("teamlora", "plain", ARM | without | {"collaboration": False}),
        collaboration=("teamlora", "plain", ARM | without),
        moelora=("moelora", "plain", moelora),
    )
    assert repeats(list(made.values())) == {
        "competition": "both",
        "moelora": "collaboration",
        "neither": "collaboration",
    }
    assert twice(made, workshop) == []
    standing = make_standing(list(made.values()), workshop.entries, resamples=200)
    assert {row.name for row in standing.rows} == {"both", "collaboration"}
    notes = " ".join(board_notes(standing))
    assert "The settings of neither and collaboration name the same function of the same parameters." in notes


def test_a_row_that_repeats_a_repeated_row_names_the_row_that_counts(workshop):
    made = arms(
        workshop,
        ablation=("teamlora", "plain", ARM | {"competition": False}),
        moelora=("moelora", "plain", {"rank": 8, "experts": 4, "alpha": 16.0, "gate_scale": 1.0}),
    )
    tuned = ChosenGrid.model_construct(runs=(SimpleNamespace(settings={"rank": 8}),))
    rows = [*made.values(), made["moelora"].replace(name="moelora-tuned", lr_grid=tuned)]
    assert rows[-1].lr_grid.tuned and repeats(rows) == {"moelora": "ablation", "moelora-tuned": "ablation"}


@pytest.mark.parametrize(
    ("own", "function"),
    [
        (ARM | {"collaboration": False, "dropout": 0.1}, "competes"),
        (ARM | {"collaboration": False, "rank": 16, "alpha": 32.0}, "competes"),
        (ARM | {"competition": False}, "competes"),
    ],
)
def test_rows_of_other_functions_with_the_same_answers_are_named(workshop, own, function):
    made = arms(workshop, both=("teamlora", "competes", ARM), other=("teamlora", function, own))
    assert repeats(list(made.values())) == {} and len(twice(made, workshop)) == 2


def test_the_same_function_with_other_scores_is_a_row_of_its_own(workshop):
    made = arms(workshop, both=("teamlora", "a", ARM), other=("teamlora", "b", ARM | {"collaboration": False}))
    assert repeats(list(made.values())) == {} and twice(made, workshop) == []
