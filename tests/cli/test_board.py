"""``cme submit`` and ``cme leaderboard verify``: one line per entry, and exit codes that CI can use."""

import json

import pytest

from tests.leaderboard.workshop import Workshop

NAMES = ("qqp", "anli")


@pytest.fixture
def workshop(tmp_path):
    shop = Workshop(tmp_path)
    shop.reference("base", 0.4, names=NAMES)
    shop.row("lora", "lora", 0.6, seeds=(0, 1, 2), names=NAMES)
    return shop


def test_seeds_in_any_order_become_one_row(cme, workshop):
    (workshop.entries / "lora.json").unlink()
    results = [workshop.root / "results" / f"lora-{seed}" for seed in (2, 0, 1)]
    runs = [word for seed in (1, 2, 0) for word in ("--run", workshop.root / "runs" / f"lora-{seed}")]
    done = cme("submit", *results, *runs, "--entries", workshop.entries)
    assert done.exit_code == 0 and "Entry lora has a CME average" in done.stderr and "over 3 seeds" in done.stderr
    assert f" over 3 seeds ({len(NAMES)} of 22 datasets). Written" in done.stderr
    assert json.loads((workshop.entries / "lora.json").read_text())["runs"][2]["seed"] == 2
    lacking = cme("submit", *results, *runs[:4], "--entries", workshop.entries, "--name", "x")
    assert lacking.exit_code == 2 and "results/lora-0 evaluates the adapter" in lacking.stderr


def test_an_honest_board_is_verified(cme, workshop):
    done = cme("leaderboard", "verify", workshop.entries)
    assert done.exit_code == 0
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["ok  base", "ok  lora"]
    assert [entry["ok"] for entry in json.loads(cme("leaderboard", "verify", workshop.entries, "--json").stdout)] == [
        True,
        True,
    ]


def test_a_tampered_entry_is_refused(cme, workshop):
    path = workshop.entries / "lora.json"
    values = json.loads(path.read_text())
    values["scores"]["average"] += 0.01
    path.write_text(json.dumps(values))
    done = cme("leaderboard", "verify", workshop.entries)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].startswith("REFUSED  lora: entry 'lora': scores.average is ")
    assert [entry["ok"] for entry in json.loads(cme("leaderboard", "verify", workshop.entries, "--json").stdout)] == [
        True,
        False,
    ]
    both = cme("leaderboard", "--verify", "--entries", workshop.entries, "--out", workshop.root / "out")
    assert both.exit_code == 1 and not (workshop.root / "out").exists()


def test_what_is_no_argument_of_leaderboard(cme, workshop):
    assert "Did you mean 'verify'?" in cme("leaderboard", "verifi", workshop.entries).stderr
    assert cme("leaderboard", "--json").exit_code == 2
    missing = cme("leaderboard", "verify", workshop.root / "nothing")
    assert missing.exit_code == 1 and "does not exist" in missing.stderr


def test_an_unknown_row_is_not_reproduced_and_the_rows_are_listed(cme, workshop, tmp_path):
    done = cme("reproduce", "lora9", "--entries", workshop.entries, "--out", tmp_path / "again")
    assert done.exit_code == 2 and not (tmp_path / "again").exists()
    assert "'lora9'. Did you mean 'lora'? Known: base, lora." in done.stderr
