"""``cme.plan`` and ``cme plan``: from the demo board, from results, as a table, JSON and a figure."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cme
from cme.cli.main import app
from cme.errors import CMEError, UsageError
from tests.leaderboard.workshop import Workshop, make_samples

ENTRIES = Path(__file__).parents[2] / "leaderboards" / "demo" / "entries"


def run(*words):
    return CliRunner().invoke(app, ["plan", *map(str, words)])


@pytest.fixture(scope="module")
def made():
    return cme.plan(difference=5)


@pytest.fixture
def pilot(tmp_path):
    shop = Workshop(tmp_path)
    return {
        name: [
            shop.result(
                f"{name}{k}",
                make_samples(0.5, f"{name}{k}", 60, ("qqp", "rte")),
                adapter=f"{ord(name)}{k}".ljust(64, "0"),
            )
            for k in range(3)
        ]
        for name in "ab"
    }


def test_the_demo_board_is_the_default_pilot(made):
    frame = made.to_frame()
    assert frame["seeds"].tolist() == list(range(1, 11))
    known = frame.dropna(subset=["each"])
    assert (known["hours"] > known["training_hours"]).all() and (known["tokens"] > 0).all()
    assert frame["detectable"][1:].is_monotonic_decreasing
    # The methods of the board have the same seeds and the same order of examples.
    assert "From 5 seeds on, a comparison leaves out what a seed adds to both methods" in repr(made)
    within = made.plain()["variance"]["within"]
    assert 0 < within["seeds"] < made.plain()["variance"]["seeds"]
    trained = [entry.name for entry in cme.load_board(ENTRIES).entries if entry.runs[0].seed is not None]
    assert sorted(made.planned.pilot) == sorted(trained)
    assert made.plain() == cme.plan(difference=5, entries=ENTRIES).plain()
    text = repr(made)
    assert "that detects 5 points with a power of 80 %" in text and all(note in text for note in made.notes)


def test_a_pilot_of_results(pilot, made):
    own = cme.plan(pilot, difference=20, power=90)
    assert own.planned.pilot == ("a", "b") and own.planned.power == 0.9
    assert own.planned.parts.within is None and "leaves out" not in repr(own), (
        "nothing records the order of their examples"
    )
    assert set(own.planned.available) == {"qqp", "rte"}
    texts = [f"{name}={','.join(map(str, paths))}" for name, paths in pilot.items()]
    assert cme.plan(texts, difference=20, power=90).plain() == own.plain()


def test_the_command_prints_what_the_api_returns(made):
    done = run("--difference", "5")
    assert done.exit_code == 0, done.stderr
    assert all(note in done.stdout for note in made.notes)
    rows = done.stdout.split("\n\n")[0].splitlines()[2:]
    assert [int(row.split()[0]) for row in rows] == list(range(1, 11))
    assert "two adapters" in rows[0]
    assert json.loads(run("--difference", "5", "--json").stdout) == json.loads(json.dumps(made.plain()))
    budget = run("--difference", "5", "--budget", "10")
    assert "A budget of 10 hours for both methods is used best with" in budget.stdout


def test_the_figure_is_the_same_every_time(made, tmp_path):
    pytest.importorskip("matplotlib")
    done = run("--difference", "5", "--plot", tmp_path / "a.svg")
    assert done.exit_code == 0 and f"Written: {tmp_path / 'a.svg'}" in done.stderr
    assert made.plot(tmp_path / "b.svg").read_bytes() == (tmp_path / "a.svg").read_bytes()
    text = (tmp_path / "a.svg").read_text()
    assert "samples per dataset" in text and f"{made.planned.best.seeds} seeds" in text
    assert made.plot(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"no suffix .svg or .png"):
        made.plot(tmp_path / "a.pdf")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"difference": -1}, UsageError, "the difference is -1"),
        ({"power": 0.8}, UsageError, "the power is 0.8 %. Give a percentage above 5"),
        ({"difference": float("inf")}, UsageError, "the difference is inf"),
        ({"power": 100}, UsageError, "the power is 100 %"),
        ({"budget": 0.01}, UsageError, "do not pay for one run of each method"),
        ({"entries": "nowhere"}, CMEError, "nowhere does not exist"),
        ({"pilot": ["nowhere"]}, UsageError, "nowhere is not a result or an entry. A plan needs finished evaluations"),
        ({"pilot": [ENTRIES / "lora.json"], "entries": ENTRIES}, UsageError, "pilot and entries cannot be combined"),
        ({"pilot": [ENTRIES / "lora.json"]}, UsageError, "at least two trained methods"),
    ],
)
def test_mistakes_are_one_message(options, error, message):
    with pytest.raises(error, match=message):
        cme.plan(**options)


def test_without_a_checkout_it_says_what_to_give(monkeypatch, tmp_path):
    monkeypatch.setattr("cme.paths.leaderboards_dir", lambda: tmp_path)
    with pytest.raises(UsageError, match=r"there is no pilot. Give results of two methods"):
        cme.plan()
