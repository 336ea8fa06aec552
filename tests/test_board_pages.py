"""The tables that docs/results.md and docs/reasoning.md write in a form of their own have the numbers of the committed boards."""

import json
import re
from pathlib import Path

import pytest

import cme

ROOT = Path(cme.__file__).parents[1]
PAGES = ROOT / "docs"

pytestmark = pytest.mark.skipif(not PAGES.is_dir(), reason="not in a checkout")

METHODS = {
    "LoRA": "lora",
    "TeamLoRA, gate weights as released": "teamlora-released",
    "TeamLoRA, gate weights that sum to 1": "teamlora-normalised",
    "MoSLoRA": "moslora",
    "HydraLoRA": "hydralora",
    "MoELoRA": "moelora",
    "TeamLoRA": "teamlora",
    "AdaLoRA": "adalora",
    "base": "base",
}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def tables(page, heading):
    """The rows of all tables below a heading, as cells with plain signs."""
    text = (PAGES / page).read_text("utf-8").split(f"{heading}\n", 1)[1]
    section = re.split(r"\n#", text, maxsplit=1)[0].replace("−", "-")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]


def same(cell, *values):
    """Whether a cell shows these values, to half a unit of its last digit and the rounding of ``leaderboard.json``."""
    shown = NUMBER.findall(cell)
    return len(shown) == len(values) and all(
        abs(float(text) - value) <= 0.5 * 10.0 ** -len(text.partition(".")[2]) + 1e-5
        for text, value in zip(shown, values, strict=True)
    )


@pytest.mark.parametrize(
    ("board", "heading"), [("reasoning", "### On the mini corpus"), ("reasoning-sample", "### On real rows")]
)
def test_the_boards_of_reasoning(board, heading):
    file = ROOT / "leaderboards" / board / "leaderboard.json"
    rows = {row["name"]: row for row in json.loads(file.read_text("utf-8"))["rows"]}
    columns, _, *lines = tables("reasoning.md", heading)
    found = [line for line in lines if line[0] in METHODS]
    assert len(found) == 3
    for label, *cells in found:
        row = rows[METHODS[label]]
        assert same(cells[0], *(row[key] for key in ("average", "average_low", "average_high")))
        for dataset, cell in zip(columns[2:], cells[1:], strict=True):
            if dataset in row["datasets"]:
                score = row["datasets"][dataset]
                assert same(cell, score["value"], score["low"], score["high"]), (label, dataset)


def test_the_differences_from_the_base_on_real_rows():
    pairs = {
        (item.first, item.second): item
        for item in cme.load_board(ROOT / "leaderboards" / "sample").pairs().itertuples()
    }
    entries = ROOT / "leaderboards" / "sample" / "entries"
    compared = cme.compare([entries / f"{name}.json" for name in METHODS.values()]).plain()["pairs"]
    families = {(item["first"], item["second"]): item["families"] for item in compared}
    columns, _, *lines = [row for row in tables("results.md", "## What can be read from it") if len(row) == 7]
    assert {line[0] for line in lines} == set(METHODS) - {"base"}
    for label, average, p, *cells in lines:
        # The base is the lowest row of the board, and the last one that is given to the comparison.
        pair = METHODS[label], "base"
        found = pairs[pair]
        assert same(average, found.difference, found.low, found.high), label
        assert same(p, found.p_adjusted), label
        for column, cell in zip(columns[3:], cells, strict=True):
            value = families[pair][re.sub(r"[ -]", "_", column).lower()]
            assert same(cell, value["difference"], value["low"], value["high"]), (label, column)
