"""Boards take rows that were chosen by precision, if all of their rows share them."""

import hashlib
import json

import pytest

from cme.errors import CMEError, UsageError
from cme.leaderboard import load_paper, make_entry
from cme.leaderboard.entries.board import load_entries
from cme.leaderboard.ranking.comparison import make_standing
from cme.leaderboard.rendering.notes import notes, remarks
from cme.leaderboard.rendering.render import render
from cme.leaderboard.submission.audit import verify
from cme.records import RowLook, RowSelection
from cme.suite.precision import average_interval, half_width
from tests.leaderboard.workshop import BASE_FINGERPRINT, make_samples

NAMES = ("qqp", "rte", "squad_v2")
COUNTS = dict.fromkeys(NAMES, 24)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def selection(chosen_by: str, reached: float | None, **changes) -> RowSelection:
    """A selection of 24 of 64 rows of each dataset."""
    values = {
        "rule": "precision",
        "stopped": "precise",
        "half_width": 20.0,
        "alpha": 0.05,
        "reached": reached,
        "chosen_by": (chosen_by,),
        "counts": COUNTS,
        "available": dict.fromkeys(NAMES, 64),
        "prices": dict.fromkeys(NAMES, 50.0),
        "looks": (RowLook(rows=COUNTS, half_width=12.0),),
    }
    return RowSelection.of(**values | changes)


def reached_by(skill: float, label: str) -> float:
    return half_width(average_interval(make_samples(skill, label, 24, NAMES)))


@pytest.fixture
def chosen(workshop):
    """A board of two rows and the base on the rows that the scores of ``lora`` chose."""
    reached = reached_by(0.6, "lora-0")
    rows = selection(digest("lora 0"), reached)
    workshop.row("lora", "lora", 0.6, names=NAMES, settings={"rank": 8}, result={"rows": rows})
    workshop.row("team", "teamlora", 0.8, names=NAMES, result={"rows": rows.replace(reached=reached_by(0.8, "team-0"))})
    workshop.reference("base", 0.4, names=NAMES)
    return workshop


def base_of(workshop, rows):
    folder = workshop.result("base", make_samples(0.4, "base", 24, NAMES), rows=rows)
    return make_entry([folder], [], workshop.entries, name="base", replace=True)


@pytest.fixture
def board(chosen):
    base_of(chosen, selection(digest("lora 0"), reached_by(0.4, "base")))
    return chosen


def test_rows_that_share_their_rows_are_ranked(board):
    entries = {entry.name: entry for entry in load_entries(board.entries)}
    assert entries["lora"].rows.reached == reached_by(0.6, "lora-0")
    assert entries["team"].rows.reached is None is entries["base"].rows.reached, "their scores did not choose the rows"
    assert len({entry.rows.identity for entry in entries.values()}) == 1
    assert len(verify(board.entries)) == 3
    standing = make_standing(list(entries.values()), board.entries)
    assert standing.comparison is not None and next(iter(standing.rows)).name == "team"
    assert remarks(entries["lora"]) == "its scores chose the rows for ±20 points" and not remarks(entries["team"])
    text = " ".join(notes(standing))
    assert "72 rows of tier quick were evaluated (37.5 %)" in text and "interval of ±20 points" in text
    assert "at most 64 samples" not in text
    rendered = render(standing, load_paper())
    assert "tier quick, rows chosen for ±20 points" in rendered["leaderboard.md"]
    assert "its scores chose the rows for ±20 points" in rendered["leaderboard.md"]


def test_a_board_with_other_rows_has_one_message(chosen):
    entries = load_entries(chosen.entries)
    with pytest.raises(UsageError) as caught:
        make_standing(entries, chosen.entries)
    text = str(caught.value)
    assert "rows per dataset: 72 chosen rows (" in text and "all rows of the tier (base)" in text
    assert text.endswith("or evaluate all rows of the board with 'cme eval --rows-of'.") and "scored rows" not in text
    with pytest.raises(CMEError, match="rows per dataset"):
        verify(chosen.entries)


def test_all_rows_of_a_tier_stand_beside_a_plain_evaluation(workshop):
    reached = reached_by(0.6, "lora-0")
    all_rows = selection(digest("lora 0"), reached, stopped="exhausted", half_width=0.5 * reached, available=COUNTS)
    workshop.row("lora", "lora", 0.6, names=NAMES, settings={"rank": 8}, result={"rows": all_rows})
    workshop.row("team", "teamlora", 0.8, names=NAMES)
    entries = load_entries(workshop.entries)
    assert len(verify(workshop.entries)) == 2
    assert "at most 64 samples" in " ".join(notes(make_standing(entries, workshop.entries)))
    assert not any(remarks(entry) for entry in entries)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rule": "decided", "stopped": "decided"}, "because a difference was decided. Such estimates exaggerate"),
        ({"rule": "decided", "stopped": "precise"}, "or could stop, because a difference was decided"),
        ({"rule": "given", "stopped": "given", "half_width": None, "alpha": None}, "rows that a user gave"),
    ],
)
def test_other_rules_are_refused(workshop, changes, says):
    folder = workshop.result("x", make_samples(0.5, "x", 24, NAMES), rows=selection(BASE_FINGERPRINT, 1.0, **changes))
    with pytest.raises(UsageError, match=says) as caught:
        make_entry([folder], [], workshop.entries)
    assert "cme eval --until" in str(caught.value)
    assert not workshop.entries.exists() or not list(workshop.entries.iterdir())


def test_the_seeds_of_a_row_share_one_choice(workshop):
    results, runs = [], []
    for seed in (0, 1):
        rows = selection(digest(f"lora {seed}"), reached_by(0.6, f"lora-{seed}"))
        samples = make_samples(0.6, f"lora-{seed}", 24, NAMES)
        results.append(workshop.result(f"lora-{seed}", samples, adapter=digest(f"lora {seed}"), rows=rows))
        runs.append(
            workshop.run(f"lora-{seed}", "lora", adapter=digest(f"lora {seed}"), seed=seed, settings={"rank": 8})
        )
    with pytest.raises(UsageError, match="choice of the rows"):
        make_entry(results, runs, workshop.entries, name="lora")


WRONG = {
    "a smaller half-width": (lambda rows: rows.update(half_width=1.0), "rows.identity does not follow"),
    "another precision": (lambda rows: rows.update(reached=3.0), "rows.reached is 3.0, but the samples give"),
    "no precision": (lambda rows: rows.update(reached=None), "rows.reached is None, but the samples give"),
    "more rows": (lambda rows: rows["counts"].update(qqp=25), "rows.counts are not the numbers of its samples"),
    "fewer available": (lambda rows: rows["available"].update(qqp=3), "more rows than rows.available"),
    "another rule": (lambda rows: rows.update(rule="decided"), "not chosen by precision alone"),
    "no looks": (lambda rows: rows.update(looks=[]), "rows.looks does not end with rows.counts"),
    "a model's name": (lambda rows: rows.update(chosen_by=["<b>"]), "not a SHA-256 digest"),
    "exhausted": (lambda rows: rows.update(stopped="exhausted"), "exhausted, but not all rows are used"),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=list(WRONG))
def test_false_choices_are_refused(board, change, says):
    file = board.entries / "lora.json"
    values = json.loads(file.read_text())
    change(values["rows"])
    file.write_text(json.dumps(values))
    with pytest.raises(CMEError, match="lora") as caught:
        verify(board.entries)
    assert says in str(caught.value)


def test_a_stop_that_the_samples_contradict_is_refused(workshop):
    reached = reached_by(0.6, "lora-0")
    rows = selection(digest("lora 0"), reached, half_width=0.9 * reached)
    workshop.row("lora", "lora", 0.6, names=NAMES, settings={"rank": 8}, result={"rows": rows})
    with pytest.raises(CMEError, match=r"rows\.stopped is precise, but the samples give"):
        verify(workshop.entries)
