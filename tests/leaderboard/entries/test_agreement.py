"""What stands on a board twice."""

import pytest

from cme.leaderboard import load_entries
from cme.leaderboard.entries.agreement import across, answered, repeats
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
