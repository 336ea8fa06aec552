"""The texts of the page's samples: of the mini corpus, and of nothing else."""

import json

import pytest

from cme.evaluation.task import load
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.rendering.page.pack import json_for_html
from cme.leaderboard.rendering.page.texts import page_texts
from tests.leaderboard.rendering.page.boards import MINI_DATASETS


@pytest.fixture(scope="module")
def entry(mini_board: tuple[Standing, object]):
    return mini_board[0].entries[0]


@pytest.fixture(scope="module")
def rows():
    """The evaluated rows as lm-eval has them."""
    return {
        name: load(cme_dataset=name, cme_source="mini", cme_tier="smoke")["eval"].to_list() for name in MINI_DATASETS
    }


@pytest.fixture(scope="module")
def ids(rows):
    return {name: [row["id"] for row in found] for name, found in rows.items()}


def test_texts_are_what_the_model_was_asked(entry, rows, ids):
    texts = page_texts([entry], ids, 10**6)
    assert texts == {
        name: [[row["prompt"], row.get("continuations", []), row.get("gold"), row.get("answers", [])] for row in found]
        for name, found in rows.items()
    }


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_texts_stay_within_their_budget(entry, ids, share):
    whole = page_texts([entry], ids, 10**6)
    budget = int(share * (len(json_for_html(whole)) + 10))
    texts = page_texts([entry], ids, budget)
    counts = {len(found) for found in texts.values()}
    assert counts == {0.0: set(), 1.0: {8}}.get(share, counts)
    assert len(json_for_html(texts)) <= max(budget, 2)
    assert all(whole[name][: len(found)] == found for name, found in texts.items())
    if share == 0.4:
        assert counts <= {1, 2, 3, 4}


def test_rows_of_others_have_no_text(entry, ids):
    pinned = {"data": {name: {"world": "another"} for name in ids}}
    other_world = entry.replace(runs=(entry.runs[0].replace(provenance=pinned),))
    for changed in (
        entry.replace(source="hub"),
        entry.replace(source="mini:of another version"),
        entry.replace(task_fingerprints=dict.fromkeys(ids, "0" * 64)),
        other_world,
    ):
        assert page_texts([changed], ids, 10**6) == {}
    assert page_texts([], ids, 10**6) == {}
    unknown = ids | {"qqp": ["0" * 32]}
    assert set(page_texts([entry], unknown, 10**6)) == set(ids) - {"qqp"}


def test_the_page_has_them(mini_page, rows):
    data = json.loads(mini_page.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    assert data["source"] == "mini"
    for name, found in rows.items():
        shown = dict(zip(data["samples"]["datasets"][name]["ids"], data["samples"]["texts"][name], strict=True))
        assert {row["id"]: shown[row["id"]][0] for row in found} == {row["id"]: row["prompt"] for row in found}
