"""The whole measurement: its contents and its tables. The tests do not assert speeds."""

import dataclasses
import json
import statistics

import pytest

from benchmarks.evaluation.agreement import Agreement, Differing
from benchmarks.evaluation.plot import save
from benchmarks.evaluation.rows import OPTIONS
from benchmarks.evaluation.table import cost_rows, growth_rows, markdown, memory_rows, notes, total_rows, work_rows
from tests.benchmarks.evaluation.conftest import DATASETS

pytestmark = pytest.mark.long


def test_both_sides_answer_everything_and_agree(report):
    assert sorted(cost.dataset for cost in report.datasets) == sorted(DATASETS)
    for cost in report.datasets:
        assert cost.rows == 4 and cost.used == "prefix"
        for side in (cost.stock, cost.engine):
            assert len(side.seconds) == 2 and min(side.seconds) > 0 and side.counts.positions >= side.counts.tokens > 0
        assert all(item.tie for item in cost.agreement.decisions) and cost.agreement.texts == ()
        assert cost.agreement.gap is None if cost.kind == "generate" else cost.agreement.gap < 1e-4
        pairs = zip(cost.stock.seconds, cost.engine.seconds, strict=True)
        assert cost.ratio == pytest.approx(statistics.mean(one / other for one, other in pairs))


def test_fewer_tokens_are_computed_for_options_of_several(report):
    several = next(total for total in report.totals if total.name == "choices, options of several tokens")
    assert several.engine.counts.tokens < several.stock.counts.tokens


def test_batch_sizes_growth_and_memory(report):
    assert [choice.kind for choice in report.batches] == ["choice", "generate"]
    for choice in report.batches:
        assert choice.size == min(choice.seconds, key=choice.seconds.get) and set(choice.seconds) == {1, 4}
    sizes = {axis: [p.size for p in report.growth if p.axis == axis] for axis in ("rows", "options")}
    assert sizes == {"rows": [1, 2, 4], "options": list(OPTIONS)}
    assert len({point.rows for point in report.growth if point.axis == "options"}) == 1
    assert [memory.side for memory in report.memory] == ["lm-eval", "cme"] and report.memory_kind == "resident set"
    for memory in report.memory:
        assert memory.peak_bytes > memory.above_bytes > 0 and len(memory.datasets) == 2


def test_the_json_has_a_schema(report):
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (values["kind"], values["schema_version"]) == ("evaluation-costs", 1)
    assert list(values)[2:] == [
        *("settings", "surroundings", "batches", "datasets", "totals", "growth", "memory", "memory_kind"),
    ]
    assert list(values["datasets"][0]) == [
        *("dataset", "kind", "multi_token", "rows", "requests", "stock", "engine", "ratio", "agreement", "used"),
    ]
    assert set(values["datasets"][0]["stock"]) == {"seconds", "counts"}
    assert values["surroundings"]["threads"] == 1 and values["surroundings"]["command"] == [
        "python",
        "-m",
        "benchmarks.evaluation",
    ]


def test_the_tables_are_whole(report):
    for columns, rows in (make(report) for make in (cost_rows, total_rows, work_rows, growth_rows, memory_rows)):
        assert rows and all(len(row) == len(columns) for row in rows)
    page = markdown(report)
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]
    assert len(tables) == 5 and all(len({line.count("|") for line in table}) == 1 for table in tables)
    for text in (*DATASETS, "together", "Growth", "Peak memory", "`python -m benchmarks.evaluation`", "threads 1"):
        assert text in page
    assert "logits_cache is on" in page and page.count("logits_cache") == 1
    bare = markdown(dataclasses.replace(report, growth=(), memory=()))
    assert "Growth" not in bare and "Peak memory" not in bare


def test_what_differs_is_listed(report):
    first, *others = report.datasets
    decisions = (Differing("r1", 0, 2, 0.25, False), Differing("r2", 1, 0, 1e-5, True))
    odd = dataclasses.replace(first, agreement=Agreement(0.5, decisions), used="hf: the adapter pools")
    texts = dataclasses.replace(others[-1], agreement=Agreement(None, texts=("r3",)))
    text = "\n".join(notes(dataclasses.replace(report, datasets=(odd, texts))))
    assert f"{first.dataset} r1: lm-eval chooses option 0 and CME option 2 (lm-eval's margin is 2.5e-01)." in text
    assert f"{first.dataset} r2: lm-eval chooses option 1 and CME option 0 (a tie within 2e-04)." in text
    assert f"{texts.dataset}: the generated texts differ for r3." in text and "the adapter pools" in text
    assert "differ" not in "\n".join(notes(report)) and "chooses option" not in "\n".join(notes(report))


def test_the_plot(report, tmp_path):
    for name in ("a.svg", "b.svg", "c.png"):
        save(report, tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text() and all(name in text for name in DATASETS)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    save(dataclasses.replace(report, growth=()), tmp_path / "alone.png")
