"""The page as text: what it holds, how it is protected, how large it gets. `test_browser` uses it."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from cme.leaderboard import load_paper
from cme.leaderboard.entries.board import samples_path
from cme.leaderboard.ranking.comparison import make_standing
from cme.leaderboard.rendering.page import render_page
from cme.leaderboard.rendering.page.pack import bits, floats, json_for_html
from cme.leaderboard.rendering.page.render import LIMIT
from cme.leaderboard.rendering.page.samples import page_samples
from cme.records.samples import read_samples
from tests.leaderboard.pages import standing_of
from tests.leaderboard.rendering.page.boards import six_rows

TRICK = "</script><script>alert(1)</script><img src=x onerror=alert(2)><!-- \u2028 & \" '"


class Scripts(HTMLParser):
    """The attributes and the text of every script, as a browser would take them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[dict, str]] = []
        self.tags: list[tuple[str, dict]] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._inside = True
            self.found.append((dict(attrs), ""))

    def handle_data(self, data):
        if self._inside:
            attributes, text = self.found[-1]
            self.found[-1] = attributes, text + data

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "script"


def values(page: str) -> dict:
    return json.loads(Scripts(page).found[0][1])


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def test_the_same_board_gives_the_same_bytes(board, page):
    assert render_page(*board, load_paper()) == page


def test_rows_stand_in_the_order_of_the_table_with_their_intervals(board, page):
    standing, _ = board
    rows = values(page)["rows"]
    assert [row["name"] for row in rows] == [entry.name for entry in (*standing.rows, *standing.references)]
    assert [row["kind"] for row in rows] == ["row"] * 6 + ["reference"] * 2
    for row in rows:
        found = standing.averages[row["name"]]
        assert row["average"] == pytest.approx([found.value, found.low, found.high], abs=1e-4)
    assert rows[0]["ranks"] == [standing.ranks["teamlora"].best, standing.ranks["teamlora"].worst]
    assert rows[-1]["ranks"] is None


def test_every_difference_can_be_read_back(board, page):
    comparison = board[0].comparison
    pairs = values(page)["pairs"]
    assert pairs["rows"] == list(comparison.rows)
    half, p = unpacked(pairs["half"], "<f4"), unpacked(pairs["p"], "<f4")
    significant = np.unpackbits(unpacked(pairs["significant"], "u1"), bitorder="little")
    assert len(half) == len(comparison.differences) == 15
    assert any(item.significant for item in comparison.differences), "no significant difference"
    for k, item in enumerate(comparison.differences):
        assert half[k] == pytest.approx((item.high - item.low) / 2, abs=1e-5)
        assert p[k] == pytest.approx(item.p_adjusted, abs=1e-6)
        assert bool(significant[k]) == item.significant


def test_the_difference_is_that_of_the_averages(board, page):
    averages = {row["name"]: row["average"][0] for row in values(page)["rows"]}
    for item in board[0].comparison.differences:
        assert averages[item.first] - averages[item.second] == pytest.approx(item.value, abs=1.1e-6)


def test_samples_are_means_over_the_seeds(board, page):
    standing, entries_dir = board
    found = values(page)["samples"]["datasets"]["imdb"]
    scores = unpacked(found["scores"], "u1").reshape(-1, len(found["ids"]))
    runs = [
        {
            row["id"]: row["score"]
            for row in read_samples(samples_path(entries_dir, "teamlora", k))
            if row["dataset"] == "imdb"
        }
        for k in range(3)
    ]
    expected = [round(255 * sum(run[key] for run in runs) / 3) for key in found["ids"]]
    assert scores[0].tolist() == expected
    assert len(set(expected)) > 2
    assert len(scores) == len(standing.rows) + len(standing.references)


@pytest.mark.parametrize(("budget", "expected"), [(10**6, None), (1500, range(1, 24)), (0, [0]), (-5, [0])])
def test_samples_stay_within_their_budget(board, budget, expected):
    standing, entries_dir = board
    found = page_samples([*standing.rows, *standing.references], entries_dir, budget)
    kept = {len(of["ids"]) for of in found["datasets"].values()}
    assert len(kept) == 1
    assert {of["total"] for of in found["datasets"].values()} == {24}
    if expected is None:
        assert found["kept"] is None
        assert kept == {24}
    else:
        assert found["kept"] in expected
        assert kept == {found["kept"]}
    assert found["kept"] == 0 or len(json.dumps(found["datasets"], separators=(",", ":"))) <= budget


def test_samples_take_only_what_the_page_has_left(board, page, monkeypatch):
    monkeypatch.setattr("cme.leaderboard.rendering.page.render.LIMIT", len(page.encode()) - 2000)
    smaller = render_page(*board, load_paper())
    assert len(smaller.encode()) <= len(page.encode()) - 2000
    assert 0 < values(smaller)["samples"]["kept"] < 24


def test_the_page_runs_its_own_scripts_and_loads_nothing(page):
    scripts, tags = Scripts(page).found, Scripts(page).tags
    (policy,) = [attributes["content"] for tag, attributes in tags if attributes.get("http-equiv")]
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'sha256-" in policy
    assert [attributes.get("type") for attributes, _ in scripts] == ["application/json", None, None]
    assert [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for _, text in scripts[1:]] == allowed
    addresses = {attributes[key] for _, attributes in tags for key in ("src", "href") if key in attributes}
    assert all(address.startswith(("#", "data:,")) for address in addresses)
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)


def test_texts_of_an_entry_stay_texts(tmp_path):
    settings = {"rank": 8, "target_modules": [TRICK], "options": {TRICK: TRICK}}
    board = six_rows(tmp_path, seeds=(0,), settings=settings, method=TRICK, recipe={"schedule": TRICK})
    page = render_page(*board, load_paper())
    assert len(Scripts(page).found) == 3
    assert "img" not in {tag for tag, _ in Scripts(page).tags}
    row = values(page)["rows"][0]
    assert row["method"] == TRICK
    assert row["settings"]["options"][TRICK] == TRICK and row["settings"]["target_modules"] == [TRICK]
    assert page.count("alert(1)") == page.count("\\u003cscript\\u003ealert(1)") > 0


def test_a_shared_text_is_escaped_too(board):
    standing, entries_dir = board
    rows = tuple(entry.replace(base=TRICK) for entry in standing.rows)
    page = render_page(replace(standing, rows=rows), entries_dir, load_paper())
    assert len(Scripts(page).found) == 3
    assert "&lt;img src=x" in page
    assert "img" not in {tag for tag, _ in Scripts(page).tags}


@pytest.mark.parametrize("text", ["</script>", "<!--", "\u2028", "&", "\ud800", "ä"])
def test_json_for_html_reads_back_and_is_harmless(text):
    found = json_for_html({text: [text]})
    assert json.loads(found) == {text: [text]}
    assert not set(found) & set("<>&\u2028")
    assert found.isascii()


def test_json_for_html_has_no_nan():
    with pytest.raises(ValueError, match="JSON"):
        json_for_html([float("nan")])


def test_packing():
    assert unpacked(floats([1.5, -2.0]), "<f4").tolist() == [1.5, -2.0]
    assert base64.b64decode(bits([True, False, False, True] + [False] * 4 + [True])) == bytes([9, 1])


def test_a_board_without_entries_has_a_page(tmp_path):
    page = render_page(make_standing([], tmp_path), tmp_path, load_paper())
    assert "There are no entries yet." in page
    assert "60.29" in page


def test_partial_baselines_have_no_average_and_their_datasets_scores(partial_board):
    standing = standing_of(partial_board)
    found = values(render_page(standing, partial_board.entries, load_paper()))
    row = found["rows"][-2]
    assert (row["name"], row["kind"], row["average"], row["ranks"]) == ("lead-1", "partial", [None] * 3, None)
    assert row["without_rouge"] is row["chance_normalised"] is row["runs"][0]["average"] is None
    for key, tables in (("datasets", standing.datasets), ("families", standing.families)):
        assert [item["name"] for item, cell in zip(found[key], row[key], strict=True) if cell] == [
            name for name, of in tables.items() if "lead-1" in of
        ]
    first = next(k for k, cell in enumerate(row["datasets"]) if cell)
    of = standing.datasets[found["datasets"][first]["name"]]["lead-1"]
    assert row["datasets"][first] == pytest.approx([of.value, of.low, of.high], abs=1e-6)


def test_statistics_have_six_decimals(page):
    """The last bits differ between processors, and the file must not."""

    def numbers(value):
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        return [value] if items == [value] else [number for item in items for number in numbers(item)]

    kept = [
        row[key] for row in values(page)["rows"] for key in ("average", "families", "datasets", "runs", "seed_stderr")
    ]
    found = [number for number in numbers(kept) if isinstance(number, float)]
    assert len(found) > 100 and all(number == round(number, 6) for number in found)


def test_a_single_row_has_no_differences(tmp_path, board):
    standing, entries_dir = board
    alone = make_standing([standing.rows[0]], entries_dir)
    found = values(render_page(alone, entries_dir, load_paper()))
    assert found["pairs"] is None
    assert found["rows"][0]["ranks"] is None


def test_the_page_is_small(page):
    assert len(page.encode()) < LIMIT
