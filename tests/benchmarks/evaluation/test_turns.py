"""Two ways to answer the same requests take turns, and their results stay apart."""

from types import SimpleNamespace

from benchmarks.evaluation.turns import InTurns, in_turns


def test_the_order_alternates_and_each_way_keeps_its_place():
    called = []

    def measure(part, way):
        called.append((part.dataset, way))
        return f"{part.dataset}-{way}"

    parts = [SimpleNamespace(dataset=name) for name in ("qqp", "race")]
    measured = list(in_turns("test", parts, 3, measure))
    assert measured == [(part, [(f"{part.dataset}-0", f"{part.dataset}-1")] * 3) for part in parts]
    assert [way for name, way in called if name == "race"] == [0, 1, 1, 0, 0, 1]


def test_the_ratio_of_times_is_the_median_over_the_rounds():
    cost = InTurns(dataset="qqp", rows=2, seconds=((4.0, 1.0), (4.0, 2.0), (9.0, 3.0)))
    assert cost.time == 3.0
