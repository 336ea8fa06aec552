"""The committed demo board: what the README says of it is what its entries give."""

import itertools
from pathlib import Path

import pytest

import cme
from cme.leaderboard import load_entries
from cme.leaderboard.ranking.comparison import make_standing

ROOT = Path(cme.__file__).parents[1]
BOARD = ROOT / "leaderboards" / "demo"

READINGS = {"teamlora-normalised": 1, "teamlora-released": "experts"}
"""The further readings of TeamLoRA's gate weights, by the name of their row."""

pytestmark = pytest.mark.skipif(not BOARD.is_dir(), reason="not in a checkout")


@pytest.fixture(scope="module")
def standing():
    return make_standing(load_entries(BOARD / "entries"), BOARD / "entries")


def test_it_has_the_methods_with_three_seeds_by_one_grid(standing):
    rows = {entry.name: entry for entry in standing.rows}
    sums = {"teamlora": "free", **dict.fromkeys(("mola", "adamole", "comol"), 1), **READINGS}
    methods = ("lora", "adalora", "moslora", "moelora", "hydralora", "dora", "rslora", *sums)
    assert set(rows) == {"base", *methods}
    grids = set()
    for name in methods:
        entry = rows[name]
        method = "teamlora" if name in READINGS else name
        assert (entry.method, [run.seed for run in entry.runs], entry.tier) == (method, [0, 1, 2], "quick")
        assert entry.settings.gate_sum == sums.get(name)
        assert entry.lr_grid and bool(entry.cost_ratios) == (name not in ("dora", "rslora"))
        grids.add(tuple(run.learning_rate for run in entry.lr_grid.runs))
    assert len(grids) == 1
    assert {entry.name for entry in standing.references} == {"base-4-shot", "majority"}
    assert {entry.name for entry in standing.partial} == {"lead-1", "unanswerable"}


def test_the_readme_shows_its_table_and_says_what_is_significant(standing):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("<!-- leaderboards/demo/leaderboard.md -->\n")[1].split("<!-- end -->")[0]
    assert table in (BOARD / "leaderboard.md").read_text(encoding="utf-8")
    significant = {frozenset((item.first, item.second)) for item in standing.comparison.differences if item.significant}
    methods = {entry.name for entry in standing.rows} - {"base"}
    better = {"dora", "lora", "moelora", "rslora"}
    expected = {(name, "base") for name in methods} | {(name, "adalora") for name in better}
    assert significant == set(map(frozenset, expected))
    pairs = len(methods) * (len(methods) - 1) // 2
    said = f"Only {len(better)} of the {pairs} pairs of trained rows differ significantly"
    assert said in " ".join(readme.split())


def cells(text):
    """The cells of the first Markdown table in a text, by line."""
    lines = itertools.takewhile(lambda line: line.startswith("|"), text[text.index("\n| ") + 1 :].splitlines())
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_benchmarks_show_its_families():
    head, _, *rows = cells((BOARD / "leaderboard.md").read_text(encoding="utf-8").split("## Families\n")[1])
    scores = {row[0]: row for row in rows}
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    shown = cells(page.split("## Accuracy after 200 steps\n")[1])[2:]
    assert [row[0] for row in shown] == head[1:12]
    for place, row in enumerate(shown, start=1):
        assert row[1:] == [scores[name][place] for name in ("lora", "majority", "base")]


def test_no_family_is_at_the_ceiling_or_at_chance_for_all_methods(standing):
    """The corpus of the board is graded, so that its difficulty hides no difference between methods."""
    assert standing.information.uninformative == []
