"""Tables of rows that differ in one thing, of costs and of learning rates."""

import pytest

from cme.leaderboard import load_entries
from cme.leaderboard.ranking.numbers import interval, nats, p_value, points
from cme.records import Entry, write_record
from tests.leaderboard.pages import close, page_of, standing_of, tables
from tests.leaderboard.workshop import Workshop


def _change(board: Workshop, name: str, **changes) -> Entry:
    entry = next(entry for entry in load_entries(board.entries) if entry.name == name)
    changed = entry.replace(**changes)
    write_record(board.entries / f"{name}.json", changed)
    return changed


def _block(board: Workshop, first: str, second: str) -> list[list[str]] | None:
    blocks = tables(page_of(board).split("## The paper's rows")[0])
    return next((block for block in blocks if block[0][:2] == [first, second]), None)


TEAM = {"rank": 8, "experts": 4, "alpha": 16.0, "gate_scale": 1.0}


def test_the_ablation_holds_rows_that_differ_in_the_parts_alone(board):
    assert _block(board, "name", "collaboration") is None
    for name, parts in {"both": (True, True), "one": (True, False), "none": (False, False)}.items():
        board.row(
            name, "teamlora", 0.5, settings=TEAM | dict(zip(("collaboration", "competition"), parts, strict=True))
        )
    board.row("other", "teamlora", 0.5, settings=TEAM | {"collaboration": True, "competition": True, "rank": 4})
    ablation = _block(board, "name", "collaboration")
    assert [row[:3] for row in ablation[1:]] == [["none", "off", "off"], ["one", "on", "off"], ["both", "on", "on"]]
    standing = standing_of(board)
    one = next(item for item in standing.comparison.against("none") if item.first == "one")
    assert close(ablation[2][9], one.value) and ablation[2][10] == p_value(one.p_adjusted)
    assert ablation[1][9:] == ["–", "–"]


def _parts(collaboration: bool, competition: bool, gate_sum: float | str) -> dict:
    kept = {key: value for key, value in TEAM.items() if key != "gate_scale"}
    return kept | {"collaboration": collaboration, "competition": competition, "gate_sum": gate_sum}


def test_minus_neither_is_the_difference_from_the_row_with_the_same_sum(board):
    """The rows without modules have other scores, and the one with the other sum scores highest."""
    for name, skill, parts in (
        ("off-1", 0.3, (False, False, 1)),
        ("off-k", 0.9, (False, False, "experts")),
        ("on-1", 0.5, (True, True, 1)),
        ("on-k", 0.6, (True, True, "experts")),
        ("on-free", 0.55, (True, True, "free")),
        ("on-half", 0.55, (True, True, 0.5)),
    ):
        board.row(name, "teamlora", skill, settings=_parts(*parts))
    against = standing_of(board).comparison.against
    values = {row[0]: row[9:] for row in _block(board, "name", "collaboration")[1:]}
    # Without competition the gates are a softmax, which sums to 1 with "free" too.
    for name, plain in (("on-1", "off-1"), ("on-k", "off-k"), ("on-free", "off-1")):
        (item,) = [item for item in against(plain) if item.first == name]
        assert close(values[name][0], item.value) and values[name][1] == p_value(item.p_adjusted)
    assert values["on-half"] == values["off-1"] == values["off-k"] == ["–", "–"]
    board.row("off-free", "teamlora", 0.2, settings=_parts(False, False, "free"))
    (item,) = [item for item in standing_of(board).comparison.against("off-free") if item.first == "on-free"]
    values = {row[0]: row[9:] for row in _block(board, "name", "collaboration")[1:]}
    assert close(values["on-free"][0], item.value)


@pytest.mark.parametrize(
    ("run", "seeds"),
    [
        ({"mix_fingerprint": "e" * 64}, (0,)),
        ({"examples": 1600}, (0,)),
        ({"world_size": 4}, (0,)),
        ({}, (0, 1)),
        ({}, (7,)),
    ],
)
def test_rows_of_other_trainings_are_not_said_to_differ_in_one_setting(board, run, seeds):
    other = {"run": run, "seeds": seeds}
    board.row("k2", "moelora", 0.5, settings={"rank": 8, "experts": 2, "alpha": 16.0})
    board.row("k4", "moelora", 0.5, settings={"rank": 8, "experts": 4, "alpha": 16.0}, **other)
    board.row("on", "teamlora", 0.5, settings=_parts(True, True, 1))
    board.row("off", "teamlora", 0.5, settings=_parts(False, False, 1), **other)
    page = page_of(board)
    assert "## Experts\n" not in page and "## Ablation\n" not in page.split("## The paper's rows")[0]
    board.row("k8", "moelora", 0.5, settings={"rank": 8, "experts": 8, "alpha": 16.0}, **other)
    board.row("one", "teamlora", 0.5, settings=_parts(True, False, 1), **other)
    experts = next(block for block in tables(page_of(board)) if block[0][2] == "equal")
    assert [row[0] for row in experts[1:]] == ["k4", "k8"]
    assert [row[0] for row in _block(board, "name", "collaboration")[1:]] == ["off", "one"]


def test_numbers_of_experts_are_compared_at_equal_rank_of_one_or_of_all(board):
    board.row("k2", "moelora", 0.5, settings={"rank": 8, "experts": 2, "alpha": 16.0})
    board.row("k4", "moelora", 0.5, settings={"rank": 8, "experts": 4, "alpha": 16.0})
    board.row("k8", "moelora", 0.5, settings={"rank": 4, "experts": 8, "alpha": 8.0})
    board.row("apart", "moelora", 0.5, settings={"rank": 8, "experts": 16, "alpha": 16.0})
    _change(board, "apart", recipe={"learning_rate": 7e-4, "steps": 100})
    experts = next(block for block in tables(page_of(board)) if block[0][2] == "equal")
    assert [row[:6] for row in experts[1:]] == [
        ["k2", "moelora", "rank of one", "2", "8", "16"],
        ["k4", "moelora", "rank of one", "4", "8", "32"],
        ["k4", "moelora", "total rank", "4", "8", "32"],
        ["k8", "moelora", "total rank", "8", "4", "32"],
    ]


RATIOS = {
    "train": {"value": 1.21, "low": 1.18, "high": 1.24},
    "decode": {"value": 1.5, "low": None, "high": None},
    "hardware": "a processor",
    "device": "cpu",
    "threads": 2,
    "command": "cme bench adapters",
}


def test_measured_ratios_come_before_the_runs_clocks(board):
    _change(board, "teamlora-r8", cost_ratios=RATIOS)
    page = page_of(board)
    main = tables(page)[0]
    row = dict(zip(main[0], main[1], strict=True))
    assert (row["train × LoRA"], row["decode × LoRA"]) == ("1.21 [1.18, 1.24]", "1.50")
    assert "run time × LoRA" not in row and "not computed from the train times" in page
    assert row["train time"] != "–", "other rows have no measured ratio"
    clocks = [
        dict(zip(block[0], line, strict=True))
        for block in tables(page)
        if "run time × LoRA" in block[0]
        for line in block[1:]
    ]
    assert {line["name"]: line["run time × LoRA"] for line in clocks}["teamlora-r8"] == "–"
    assert any(line["run time × LoRA"] != "–" for line in clocks), "rows without a measured ratio keep theirs"
    assert "Measured together: teamlora-r8. Hardware: a processor (cpu, 2 threads). Command: cme bench adapters" in page


def test_measured_ratios_of_all_rows_replace_their_training_times(board):
    """The time of a run includes pauses and other load."""
    trained = [entry.name for entry in load_entries(board.entries) if entry.runs[0].cost]
    for name in trained:
        _change(board, name, cost_ratios=RATIOS)
    page = page_of(board)
    main = tables(page)[0]
    assert "train × LoRA" in main[0] and not {"train time", "run time × LoRA"} & set(main[0])
    assert "because all rows have a measured ratio" in page and len(trained) > 1


def test_run_times_are_compared_on_equal_machines_only(board):
    entry = next(entry for entry in load_entries(board.entries) if entry.name == "teamlora-r8")
    run = entry.runs[0].replace(cost=entry.runs[0].cost.plain() | {"device": "other"})
    _change(board, "teamlora-r8", runs=(run,))
    page = page_of(board)
    row = dict(zip(*[tables(page)[0][k] for k in (0, 1)], strict=True))
    assert row["name"] == "teamlora-r8" and row["run time × LoRA"] == "–"


GRID = {
    "method": "lora",
    "steps": 100,
    "runs": [
        {"learning_rate": 1e-4, "folder": "a", "validation_loss": 1.5, "last_loss": 1.0, "problem": None},
        {"learning_rate": 2e-4, "folder": "b", "validation_loss": 1.25, "last_loss": 1.0, "problem": None},
        {"learning_rate": 4e-4, "folder": "c", "validation_loss": None, "last_loss": None, "problem": "diverged"},
    ],
    "best": "b",
    "learning_rate": 2e-4,
    "at_edge": False,
}


def test_learning_rates_have_a_table(board):
    assert _block(board, "name", "rate: validation loss") is None
    _change(board, "lora-r8", lr_grid=GRID)
    rates = _block(board, "name", "rate: validation loss")
    assert rates[1:] == [["lora-r8", "0.0001: 1.5000, 0.0002: 1.2500, 0.0004: diverged", "100", "0.0002", "no"]]
    assert "Rows without a grid: teamlora-r8." in page_of(board)


def test_a_number_that_rounds_to_zero_has_no_sign():
    assert points(-0.004) == "0.00" and points(-0.006) == "-0.01"
    assert interval(-0.001, -1.0, 0.004) == "0.00 [-1.00, 0.00]"
    assert nats(-0.00001, 0.1) == "0.0000 ± 0.1000" and nats(-0.00001, 0.1, signed=True) == "+0.0000 ± 0.1000"
