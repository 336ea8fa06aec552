"""The table of experts in use, and the columns of the other formats."""

import csv
import io
import json
from dataclasses import replace

import pytest

from cme.leaderboard import load_paper, render
from cme.leaderboard.rendering.render import FORMATS
from cme.leaderboard.rendering.row import Row
from cme.leaderboard.rendering.tables.experts import in_use_section
from cme.records import Share
from tests.leaderboard.analyses import analysed_row
from tests.leaderboard.pages import page_of, standing_of, tables

NAMES = ("qqp", "anli", "nq_open", "mmlu")


@pytest.fixture
def rows(workshop):
    workshop.reference("base", 0.4, names=NAMES)
    workshop.row("lora", "lora", 0.6, settings={"rank": 8}, names=NAMES)
    analysed_row(workshop, "moelora", "moelora", 0.6, names=NAMES)
    analysed_row(workshop, "team", "teamlora", 0.9, seeds=(0, 1), names=NAMES)
    return workshop


def test_the_table_has_one_row_for_each_analysed_row(rows):
    page = page_of(rows)
    assert "## Experts in use" in page
    table = next(block for block in tables(page) if "effective experts" in block[0])
    cells = {row[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}
    assert set(cells) == {"moelora", "team"}
    assert cells["team"]["experts"] == "4 × 8" and cells["team"]["seeds"] == "2" and cells["team"]["p"] == "0.0100"
    assert "[" in cells["team"]["effective experts"] and "[" not in cells["moelora"]["effective experts"]
    assert "[" in cells["moelora"]["top 1: % of gain"]


def test_a_share_that_is_undefined_is_marked_and_explained(rows):
    standing = standing_of(rows)
    for name, others in (("moelora", "team"), ("team", "moelora")):
        row = next(row for row in standing.rows if row.name == name)
        masks = tuple(
            item.replace(share_of_gain=dict.fromkeys(item.share_of_gain, Share(value=-10.0, low=None, high=None)))
            for item in row.runs[0].experts.redundancy
        )
        run = row.runs[0].replace(experts=row.runs[0].experts.replace(redundancy=masks))
        changed = row.replace(runs=(run, *row.runs[1:]))
        section = in_use_section(
            replace(standing, rows=tuple(changed if other.name == name else other for other in standing.rows))
        )
        cells = {line[0]: line for line in section.table.rows}
        assert cells[name].count("undefined") == 2 and "undefined" not in cells[others]
        assert section.bullets[-1].startswith(f"Undefined: the shares of {name}, because")
    assert not any(note.startswith("Undefined") for note in in_use_section(standing).bullets)


def test_other_formats_have_the_figures(rows):
    standing, paper = standing_of(rows), load_paper()
    lines = {row["name"]: row for row in csv.DictReader(io.StringIO(FORMATS["csv"](standing, paper)))}
    assert lines["lora"]["effective_experts"] == "" and 1 <= float(lines["team"]["effective_experts"]) <= 4
    assert lines["team"]["analysed_seeds"] == "2" and lines["team"]["subject_p"] == "0.01"
    values = {row["name"]: row for row in json.loads(FORMATS["json"](standing, paper))["rows"]}
    assert "experts_in_use" not in values["lora"]
    team = values["team"]["experts_in_use"]
    assert team["top1_percent_of_gain"] == pytest.approx(float(lines["team"]["top1_percent_of_gain"]))
    assert [run["seed"] for run in team["runs"]] == [0, 1] and len(team["runs"][0]["load"]["subjects"]) == 57
    latex = FORMATS["latex"](standing, paper)
    assert r"Spearman $\varphi$, Shapley" in latex and "Experts in use" in latex


def test_the_analysis_of_a_row_that_repeats_another_one_is_shown(rows):
    standing = standing_of(rows)
    others = tuple(row for row in standing.rows if row.name != "team")
    (team,) = (row for row in standing.rows if row.name == "team")
    repeating = replace(standing, rows=others, repeats=(team,), repeated={"team": "lora"})
    assert {line[0] for line in in_use_section(repeating).table.rows} == {"moelora", "team"}
    values = {row["name"]: row for row in json.loads(FORMATS["json"](repeating, load_paper()))["rows"]}
    assert values["team"]["kind"] == "repeat" and len(values["team"]["experts_in_use"]["runs"]) == 2


def test_boards_without_analyses_have_no_trace_of_them(board):
    files = render(standing_of(board), load_paper())
    assert "Experts in use" not in files["leaderboard.md"] and "experts_in_use" not in files["leaderboard.json"]
    header = files["leaderboard.csv"].splitlines()[0].split(",")
    assert header == list(Row.__dataclass_fields__)
