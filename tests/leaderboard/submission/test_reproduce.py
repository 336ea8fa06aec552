"""What a reproduction says beside its row; the samples are made up."""

import shlex

import pytest

from cme.errors import CMEError, UsageError
from cme.leaderboard.submission.reproduce import build_command, check_repeatable, compare_again
from cme.suite.score import SCORER_VERSION
from tests.leaderboard.workshop import make_samples

NAMES = ("qqp", "anli", "nq_open")
FEW = 400
"""Resamples: enough for what is asserted."""


@pytest.fixture
def row(workshop):
    return workshop.row("lora", "lora", 0.6, seeds=(0, 1, 2), names=NAMES, rows=60)


def again(workshop, row, samples, **named):
    folder = workshop.result("again", samples, adapter="9" * 64, tier=row.tier)
    return compare_again(row, workshop.entries, folder, resamples=FEW, **({"seed": 0, "adapter": "9" * 64} | named))


def test_equal_scores_are_bitwise_identical(workshop, row):
    samples = make_samples(0.6, "lora-1", 60, NAMES)
    found = again(workshop, row, list(reversed(samples)), seed=1, adapter=row.runs[1].provenance.adapter.fingerprint)
    assert found.changed == 0 and found.same_adapter is True and found.samples == 180
    assert found.verdict == "bitwise identical: all 180 samples have the scores of the row"
    assert found.average == row.runs[1].scores.average and found.row_average == row.scores.average


def test_another_seed_of_the_method_is_within_its_error_bar(workshop, row):
    found = again(workshop, row, make_samples(0.6, "lora-7", 60, NAMES), seed=7)
    assert found.changed is found.same_adapter is None
    assert found.low < found.difference < found.high and found.inside
    assert found.difference == pytest.approx(found.average - row.scores.average)
    assert found.verdict == "within the row's error bar"


def test_a_worse_model_is_outside_of_it(workshop, row):
    found = again(workshop, row, make_samples(0.3, "lora-0", 60, NAMES))
    assert found.high < 0 and found.inside is False and found.changed > 0 and found.same_adapter is False
    assert found.verdict == "outside the row's error bar"


def test_a_row_with_several_seeds_allows_for_theirs(workshop):
    """Three runs of different skill: a fourth may lie as far off as they do; three that agree leave less room."""
    results, runs = [], []
    for seed, skill in enumerate((0.3, 0.6, 0.9)):
        adapter = str(seed + 1) * 64
        results.append(workshop.result(f"apart-{seed}", make_samples(skill, "s", 60, NAMES), adapter=adapter))
        runs.append(workshop.run(f"apart-{seed}", "lora", adapter=adapter, seed=seed))
    from cme.leaderboard import make_entry

    apart = make_entry(results, runs, workshop.entries)
    close = workshop.row("close", "lora", 0.6, seeds=(0, 1, 2), names=NAMES, rows=60)
    samples = make_samples(0.45, "t", 60, NAMES)
    wide, narrow = again(workshop, apart, samples, seed=9), again(workshop, close, samples, seed=9)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert wide.inside


def test_smoke_has_no_verdict(workshop):
    row = workshop.row("smoke", "lora", 0.6, rows=8, names=NAMES, result={"tier": "smoke"})
    found = again(workshop, row, make_samples(0.9, "x", 8, NAMES))
    assert found.low is found.inside is None and found.verdict.startswith("no verdict")
    assert again(workshop, row, make_samples(0.6, "smoke-0", 8, NAMES)).changed == 0


def test_other_samples_are_not_compared(workshop, row):
    others = [sample | {"id": sample["id"] + "x"} for sample in make_samples(0.6, "lora-0", 60, NAMES)]
    with pytest.raises(CMEError, match=r"the scored samples are not those of entry 'lora'"):
        again(workshop, row, others)


def test_a_row_of_other_rules_or_task_files_is_not_reproduced(workshop, row):
    with pytest.raises(UsageError, match=f"scorer version {SCORER_VERSION - 1}"):
        check_repeatable(row.replace(scorer_version=SCORER_VERSION - 1), None)
    changed = row.replace(task_fingerprints=row.task_fingerprints | {"anli": "0" * 64})
    with pytest.raises(UsageError, match="other task files of anli"):
        check_repeatable(changed, None)
    assert check_repeatable(row, None) == 0 and check_repeatable(row, 5) == 5
    base = workshop.reference("base", 0.5, names=NAMES, rows=60)
    assert check_repeatable(base, None) is None
    with pytest.raises(UsageError, match="has no seed"):
        check_repeatable(base, 1)


def with_mix(row, mix):
    """The row, whose entry says that its mix was built so."""
    first = row.runs[0]
    provenance = first.provenance.plain() | {"training": {"mix": mix}}
    return row.replace(runs=(first.replace(provenance=provenance), *row.runs[1:]))


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, "cme build-data --source mini --seed 0 --size 4000 --out mix/"),
        ({"size": None, "gate": False}, "cme build-data --source mini --seed 0 --no-decontamination --out mix/"),
        (
            {"mixing": "temperature", "temperature": 3.0, "layout": "chat", "paraphrase_share": 0.0},
            "cme build-data --source mini --seed 0 --size 4000 --mixing temperature --temperature 3.0 "
            "--prompt-variant-share 0.0 --format chat --out mix/",
        ),
        (
            {"validation_rows": 0, "datasets": ["qqp", "rte"]},
            "cme build-data --source mini --seed 0 --size 4000 --validation-share 0 --datasets qqp,rte --out mix/",
        ),
    ],
)
def test_how_a_mix_is_built_again(row, changes, command):
    mix = {
        "source": "mini",
        "seed": 0,
        "size": 4000,
        "mixing": "proportional",
        "temperature": None,
        "paraphrase_share": 0.5,
        "layout": "alpaca",
        "gate": True,
        "validation_rows": 20,
        "datasets": [],
    }
    assert build_command(with_mix(row, mix | changes)) == command
    assert build_command(with_mix(row, None)) is None


def test_a_command_to_copy_holds_no_command_of_the_entry(row):
    tricks = {"source": "x; rm -rf ~", "seed": 1, "mixing": "$(id)", "datasets": ["a b", "`id`"], "layout": "| sh"}
    command = build_command(with_mix(row, tricks))
    words = shlex.split(command)
    assert words[:8] == ["cme", "build-data", "--source", "DIR", "--seed", "1", "--mixing", "$(id)"]
    assert "DIR --seed 1 --mixing '$(id)' --format '| sh'" in command and "'a b,`id`'" in command
    assert "rm -rf" not in command


def test_a_row_of_lm_evals_logs_is_not_reproduced(workshop):
    entry = workshop.reference("base", 0.4, engines={"qqp": "lm-eval: hf"}, origin="lm-eval")
    with pytest.raises(UsageError, match="'base' was imported from lm-eval's logs"):
        check_repeatable(entry, None)
