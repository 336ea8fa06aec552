"""Agreement, totals, batch sizes and generated options, with values that are written by hand."""

import pytest

from benchmarks.evaluation import batches
from benchmarks.evaluation.agreement import Agreement, Differing, compare, joined
from benchmarks.evaluation.batches import best_batches, sample
from benchmarks.evaluation.memory import peak_of
from benchmarks.evaluation.report import DatasetCost, Side, totals
from benchmarks.evaluation.rows import OPTIONS, with_options
from benchmarks.evaluation.timing import Answered, Counts
from tests.benchmarks.evaluation.conftest import part

ROWS = {"a": ("?", ["x", "y"]), "b": ("?", ["x", "y", "z"])}


def scores(*values):
    return [(value, False) for value in values]


@pytest.mark.parametrize(
    ("engine", "gap", "decisions"),
    [
        ((-1.0, -2.0, -3.0, -2.0, -1.0), 0.0, ()),
        ((-1.5, -2.0, -3.0, -2.0, -1.25), 0.5, ()),
        # Row a: each side prefers its own option by far more than rounding.
        ((-2.5, -2.0, -3.0, -2.0, -1.0), 1.5, (Differing("a", 0, 1, 1.0, False),)),
    ],
)
def test_gaps_and_decisions(engine, gap, decisions):
    result = compare(part(ROWS), scores(-1.0, -2.0, -3.0, -2.0, -1.0), scores(*engine))
    assert result == Agreement(gap, decisions)


def test_a_tie_is_marked():
    result = compare(part({"a": ROWS["a"]}), scores(-1.0, -1.0), scores(-1.00005, -1.0))
    assert [(item.stock, item.engine, item.tie) for item in result.decisions] == [(0, 1, True)]
    # One side that is sure is no tie.
    result = compare(part({"a": ROWS["a"]}), scores(-1.0, -1.00001), scores(-3.0, -1.0))
    assert [item.tie for item in result.decisions] == [False]


def test_texts():
    requests = part({"a": ("?", [{}]), "b": ("?", [{}])}, kind="generate")
    assert compare(requests, ["one", "two"], ["one", "two "]) == Agreement(None, texts=("b",))


def test_rounds_are_joined():
    differing = Differing("a", 0, 1, 0.1, False)
    result = joined([Agreement(1e-6), Agreement(1e-5, (differing,)), Agreement(1e-7, (differing,))])
    assert result == Agreement(1e-5, (differing,))
    assert joined([Agreement(None, texts=("x",)), Agreement(None, texts=("x", "y"))]) == Agreement(None, (), ("x", "y"))


def cost(name, kind, multi, stock, engine, agreement):
    sides = Side(stock, Counts(3, 100, 80)), Side(engine, Counts(1, 50, 40))
    return DatasetCost(name, kind, multi, 4, 8, *sides, 2.0, agreement, "prefix")


def test_totals():
    tie, real = Differing("a", 0, 1, 1e-5, True), Differing("b", 0, 1, 0.1, False)
    result = totals(
        [
            cost("qqp", "choice", False, (2.0, 4.0, 3.0), (1.0, 1.0, 1.0), Agreement(1e-6, (tie,))),
            cost("race", "choice", True, (6.0, 8.0, 9.0), (1.0, 3.0, 5.0), Agreement(1e-5, (real,))),
            cost("nq_open", "generate", False, (1.0, 1.0, 1.0), (2.0, 0.5, 1.0), Agreement(None, texts=("x",))),
        ]
    )
    assert [(total.name, total.datasets, total.rows) for total in result] == [
        ("choices", 2, 8),
        ("choices, options of one token", 1, 4),
        ("choices, options of several tokens", 1, 4),
        ("texts", 1, 4),
    ]
    both, _, several, texts = result
    assert both.stock == Side((8.0, 12.0, 12.0), Counts(6, 200, 160)) and both.engine.seconds == (2.0, 4.0, 6.0)
    # The median of 4, 3 and 2; it is no mean of the datasets' ratios.
    assert both.ratio == 3.0 and several.ratio == pytest.approx(8 / 3) and texts.ratio == 1.0
    assert (both.gap, both.decisions, both.ties, both.texts) == (1e-5, 2, 1, 0)
    assert (texts.gap, texts.texts) == (None, 1)


def test_batches_are_tried_on_the_shortest_the_middle_and_the_longest():
    parts = [part({f"r{i}": ("w", ["x"]) for i in range(20)}, str(n), tokens=[n] * 20) for n in (5, 1, 4, 2, 3)]
    assert [(chosen.dataset, len(chosen.ids), len(chosen.requests)) for chosen in sample(parts)] == [
        ("1", 16, 16),
        ("3", 16, 16),
        ("5", 16, 16),
    ]
    assert len(sample(parts[:1])) == 1 and sample([]) == []


def test_the_fastest_batch_size_is_taken(monkeypatch):
    times = {("qqp", 1): 5.0, ("qqp", 4): 1.0, ("qqp", 8): 4.0, ("arc", 1): 1.0, ("arc", 4): 3.0, ("arc", 8): 2.0}
    requests = [part(ROWS, "qqp"), part(ROWS, "arc", tokens=[9, 9]), part({"a": ("?", [{}])}, "nq_open", "generate")]

    def timed(lm, chosen, size):
        seconds = times.get((chosen.dataset, size), 10.0 - size)
        return Answered([], seconds, Counts(0, 0, 0), None, "hf")

    monkeypatch.setattr(batches, "answer", timed)
    result = best_batches(None, requests, (1, 4, 8))
    assert result["choice"].seconds == {1: 6.0, 4: 4.0, 8: 6.0} and result["choice"].size == 4
    assert result["choice"].datasets == ("qqp", "arc") and result["generate"].size == 8
    alone = best_batches(None, requests[:2], (4,))
    assert list(alone) == ["choice"] and alone["choice"].size == 4 and alone["choice"].seconds == {}


def test_made_up_options():
    long = " ".join(f"w{i}" for i in range(20))
    requests = part({"short": ("a b c", [" x"]), "long": (long, [" x", " y"])})
    for options in OPTIONS:
        result = with_options(requests, options)
        assert result.ids == ("long",), "the same rows for every number"
        assert [request.args for request in result.requests] == [(long, f" w{i} w{i + 1}") for i in range(options)]
        assert result.prompt_tokens == (20,) and result.multi_token


def test_the_memory_of_a_gpu_is_the_highest_of_all_datasets():
    result = peak_of("cme", {"qqp": 5, "arc": 7})
    assert (result.peak_bytes, result.above_bytes, result.datasets) == (7, None, ("qqp", "arc"))
    assert peak_of("cme", {"qqp": None}) is None
