"""Ranks of a row, by its settings and by what its record says about a method of another package."""

from cme.leaderboard.entries.board import load_entries
from cme.leaderboard.entries.costs import experts_of, total_rank
from cme.paths import leaderboards_dir
from cme.records import AdapterRecord


def test_the_total_rank_of_a_method_of_another_package_is_as_declared():
    (entry,) = [one for one in load_entries(leaderboards_dir() / "demo" / "entries") if one.name == "moelora"]
    rank, experts = entry.settings.rank, entry.settings.experts
    elsewhere = entry.replace(settings=AdapterRecord(method="mycore", rank=rank, experts=experts))
    assert total_rank(entry) == total_rank(elsewhere) == rank * experts
    assert total_rank(elsewhere.replace(ranks="shared")) == rank
    single = elsewhere.replace(settings=AdapterRecord(method="myrank", rank=8), ranks="single")
    assert (total_rank(single), experts_of(single)) == (8, (8, 1))
    assert "ranks" not in entry.plain() and single.plain()["ranks"] == "single"


def test_a_row_with_experts_by_layer_has_no_total_rank():
    (entry,) = [one for one in load_entries(leaderboards_dir() / "demo" / "entries") if one.name == "moelora"]
    options = {"experts_pattern": {"up_proj": 2}}
    assert total_rank(entry.replace(settings=AdapterRecord(method="mola", rank=8, experts=8, options=options))) is None
