"""Rows with scores of programs: how they ran, which outcomes are possible, and what a board shows of them."""

import json

import pytest

import cme
from cme.errors import CMEError
from cme.leaderboard import make_entry, verify
from cme.leaderboard.rendering.notes import remarks
from tests.leaderboard.workshop import make_samples

LORA = "1" * 64


@pytest.mark.parametrize("how", ["sandboxed", "unsandboxed"])
def test_an_entry_says_how_programs_ran(workshop, how):
    folder = workshop.result("code", make_samples(0.6, "c", names=("mbpp",)), adapter=LORA, run_code=how)
    entry = make_entry([folder], [workshop.run("code", "lora", adapter=LORA)], workshop.entries)
    assert entry.runs[0].provenance.evaluation.run_code == how
    assert ("its programs ran without a sandbox" in remarks(entry)) == (how == "unsandboxed")
    assert verify(workshop.entries)[0].startswith("code: ")


def test_without_programs_an_entry_says_nothing_about_them(workshop):
    folder = workshop.result("lora", make_samples(0.6, "l"), adapter=LORA)
    make_entry([folder], [workshop.run("lora", "lora", adapter=LORA)], workshop.entries)
    assert "run_code" not in (workshop.entries / "lora.json").read_text()


@pytest.mark.parametrize(
    ("scores", "problem"),
    [
        ({"pass_at_1": 1.0, "failed": 1.0}, "its program has 2 outcomes; expected 1"),
        ({"pass_at_1": 0.5, "failed": 0.5}, "is 0.5; expected 0 or 1"),
        ({"pass_at_1": 0.0, "failed": 0.0}, "its program has 0 outcomes; expected 1"),
    ],
)
def test_outcomes_that_no_program_has_are_refused(workshop, scores, problem):
    samples = make_samples(0.6, "c", names=("mbpp",))
    samples[0] |= {"score": scores["pass_at_1"], "scores": samples[0]["scores"] | scores}
    folder = workshop.result("code", samples, adapter=LORA, run_code="sandboxed")
    with pytest.raises(CMEError, match=problem):
        make_entry([folder], [workshop.run("code", "lora", adapter=LORA)], workshop.entries)


def test_a_board_of_programs_shows_their_outcomes_and_no_column_of_rouge(workshop, tmp_path):
    folder = workshop.result("code", make_samples(0.6, "c", names=("mbpp",)), adapter=LORA, run_code="sandboxed")
    entry = make_entry([folder], [workshop.run("code", "lora", adapter=LORA)], workshop.entries)
    text = cme.render_board(workshop.entries, tmp_path / "out").text
    assert "without ROUGE" not in text and " CME-R average |" in text.partition("\n| ---")[0]
    passed = 100 * entry.scores.datasets[0].value
    assert "## Outcomes of programs" in text
    line = next(line for line in text.splitlines() if line.startswith("| code") and "mbpp" in line and "0.00" in line)
    cells = [cell.strip() for cell in line.strip("| ").split("|")]
    assert cells[:4] == ["code", "mbpp", f"{passed:.2f}", f"{100 - passed:.2f}"]


def test_the_tables_name_a_dataset_that_does_not_count(workshop, tmp_path):
    for names in (("gsm8k", "svamp"), ("gsm8k",)):
        root = tmp_path / str(len(names))
        folder = workshop.result("math", make_samples(0.6, "c", names=names), adapter=LORA)
        make_entry([folder], [workshop.run("math", "lora", adapter=LORA)], root / "entries")
        text = cme.render_board(root / "entries", root / "out").text
        assert ("These datasets do not count in the family scores and the averages: svamp." in text) == (
            "svamp" in names
        )


@pytest.mark.parametrize("dataset", ["mbpp", "gsm8k"])
def test_shares_of_answers_are_means_over_the_runs(workshop, tmp_path, dataset):
    """Entries have counts that are summed over the runs, so a table of two runs would show twice their share."""
    results, runs = [], []
    for seed, adapter in enumerate(("1" * 64, "2" * 64)):
        samples = make_samples(0.6, f"c{seed}", names=(dataset,))
        for sample in samples[: len(samples) * 3 // 4]:
            sample["truncated"] = True
        run_code = {"run_code": "sandboxed"} if dataset == "mbpp" else {}
        results.append(workshop.result(f"two-{seed}", samples, adapter=adapter, **run_code))
        runs.append(workshop.run(f"two-{seed}", "lora", adapter=adapter, seed=seed))
    make_entry(results, runs, workshop.entries)
    text = cme.render_board(workshop.entries, tmp_path / "out").text
    _, _, section = text.partition("## Outcomes of programs" if dataset == "mbpp" else "## Two readings of a number")
    line = next(line for line in section.splitlines() if line.startswith("| two"))
    assert line.strip("| ").split("|")[-1].strip() == "75.00"
    if dataset == "gsm8k":
        values = json.loads((tmp_path / "out" / "leaderboard.json").read_text())["rows"][0]["readings"][dataset]
        assert values["truncated"] / values["answers"] == 0.75


def test_what_one_run_does_not_know_is_not_counted_for_the_row(workshop, tmp_path):
    """A sum over the runs that know it, divided by the answers of all runs, would be too small."""
    results, runs = [], []
    for seed, adapter in enumerate(("1" * 64, "2" * 64)):
        samples = make_samples(0.6, f"c{seed}", names=("gsm8k",))
        for sample in samples:
            sample["truncated"] = None if seed else True
        results.append(workshop.result(f"two-{seed}", samples, adapter=adapter))
        runs.append(workshop.run(f"two-{seed}", "lora", adapter=adapter, seed=seed))
    make_entry(results, runs, workshop.entries)
    text = cme.render_board(workshop.entries, tmp_path / "out").text
    _, _, section = text.partition("## Two readings of a number")
    line = next(line for line in section.splitlines() if line.startswith("| two"))
    assert line.strip("|").split("|")[-1].strip() == ""
    assert (
        "truncated" not in json.loads((tmp_path / "out/leaderboard.json").read_text())["rows"][0]["readings"]["gsm8k"]
    )
