"""The whole measurement: its contents, its side effects and its tables. The tests do not assert speeds."""

import dataclasses
import json

import pytest
import torch

from cme.adapters import METHODS, AdapterSettings, count
from cme.bench.adapters import MODES, measure_adapters
from cme.bench.adapters.plot import save
from cme.bench.adapters.table import cost_rows, markdown, reported_rows
from tests.adapters.conftest import make_base
from tests.bench.adapters.conftest import FIGURES, settings

ROUTED = ("moelora", "hydralora", "teamlora", "mola", "adamole")


@pytest.mark.long
def test_every_method_is_measured_in_every_form_and_mode():
    report = measure_adapters(make_base(), settings(rounds=6), command=("cme", "bench", "adapters"))
    names = [case.name for case in report.cases]
    for method in METHODS:
        assert any(name.split()[0] == method for name in names) == (method not in ("peft", "full"))
    for method in ROUTED:
        assert {f"{method} k2", f"{method} k2 loop"} <= set(names)
    assert names[:2] == ["base", "lora"] and len(set(names)) == len(names)
    for case in report.cases:
        assert [cost.mode for cost in case.modes] == list(MODES)
        for cost in case.modes:
            assert len(cost.rounds) == 6 and min(cost.rounds) > 0
            assert min(cost.rounds) <= cost.seconds.low <= cost.seconds.median <= cost.seconds.high
            assert cost.flops > 0 and cost.peak_bytes > 0


def test_all_methods_have_the_total_rank(report):
    for case in report.cases:
        if case.method == "adalora":
            assert (case.rank, case.trainable) == (2, 1170)  # starts with 3, of which 2 are kept: as far as 4 goes
        elif case.method == "comol":
            assert (case.rank, case.experts) == (4, 2)  # its experts share the ranks
        elif case.method != "base":
            assert case.rank * (case.experts or 1) == 4


def test_trained_parameters_are_those_of_cme_params(report):
    counted = count(make_base().config, AdapterSettings("teamlora", rank=2, experts=2)).trainable
    trained = {case.name: case.trainable for case in report.cases}
    assert trained["teamlora k2"] == trained["teamlora k2 loop"] == counted
    assert trained["base"] == 0


def test_ratios_are_those_of_the_recorded_rounds(report):
    times = {(case.name, cost.mode): cost.rounds for case in report.cases for cost in case.modes}
    names = {(ratio.mode, ratio.case, ratio.reference) for ratio in report.ratios}
    others = [case.name for case in report.cases if case.name not in ("base", "lora")]
    assert names == {
        (mode, case, reference)
        for mode in MODES
        for reference, cases in (("lora", ["base", *others]), ("base", ["lora", *others]))
        for case in cases
    }
    for ratio in report.ratios:
        above, below = times[ratio.case, ratio.mode], times[ratio.reference, ratio.mode]
        ordered = sorted(one / other for one, other in zip(above, below, strict=True))
        assert ratio.quartiles.median == pytest.approx((ordered[2] + ordered[3]) / 2)
        assert (ratio.interval.low, ratio.interval.high) == (ordered[0], ordered[5])


def test_reported_figures_stand_beside_the_same_ratio(report):
    times = {(case.name, cost.mode): cost.rounds for case in report.cases for cost in case.modes}
    forms = [("fused", "fused"), ("fused", "loop"), ("loop", "loop")]
    assert {(item.reported, item.mode, item.experts, item.forms) for item in report.reported} == {
        *((FIGURES[0], "train", 2, pair) for pair in forms),
        *((FIGURES[2], "train", 2, (form, "plain")) for form in ("fused", "loop")),
        *((FIGURES[3], mode, 2, pair) for mode in ("prefill", "decode") for pair in forms),
    }
    (measured,) = [
        item.measured for item in report.reported if (item.mode, item.forms) == ("decode", ("fused", "loop"))
    ]
    slow, fast = times["moelora k2 loop", "decode"], times["teamlora k2", "decode"]
    speeds = sorted(one / other for one, other in zip(slow, fast, strict=True))
    assert measured.quartiles.median == pytest.approx((speeds[2] + speeds[3]) / 2)


def test_the_json_has_a_schema(report):
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (values["kind"], values["schema_version"]) == ("adapter-costs", 1)
    assert list(values) == ["kind", "schema_version", "settings", "surroundings", "cases", "ratios", "reported"]
    case = values["cases"][0]
    assert list(case) == [
        *("name", "method", "form", "experts", "rank", "trainable", "trainable_percent", "modes"),
    ]
    assert list(case["modes"][0]) == [
        *("mode", "seconds", "rounds", "tokens_per_second", "samples_per_second", "flops", "peak_bytes"),
    ]
    assert list(values["ratios"][0]) == ["mode", "case", "reference", "quartiles", "interval", "rounds"]
    assert set(values["ratios"][0]["interval"]) == {"low", "high", "coverage"}
    place = values["surroundings"]
    assert place["device"] == "cpu" and place["threads"] == torch.get_num_threads() and place["hardware"]
    assert {"torch", "peft", "transformers", "cme", "python"} <= set(place["versions"])
    assert place["command"] == ["cme", "bench", "adapters"]


def test_rates_are_rows_and_tokens_over_the_median(report):
    train, prefill, decode = report.cases[1].modes
    assert train.samples_per_second == pytest.approx(2 / train.seconds.median)
    assert train.tokens_per_second == pytest.approx(12 / train.seconds.median)
    assert prefill.tokens_per_second == pytest.approx(16 / prefill.seconds.median)
    assert decode.tokens_per_second == pytest.approx(2 / decode.seconds.median) and decode.samples_per_second is None


def test_the_base_is_left_as_it_was():
    base = make_base()
    base.model.embed_tokens.weight.requires_grad_(False)
    before = {name: (weight.clone(), weight.requires_grad) for name, weight in base.named_parameters()}
    measure_adapters(base, settings(methods=("base", "lora", "moslora")))
    assert not base.training and type(base) is type(make_base())
    for name, weight in base.named_parameters():
        assert torch.equal(weight, before[name][0]) and weight.requires_grad == before[name][1]
        assert weight.grad is None


def test_a_half_precision_base():
    report = measure_adapters(make_base().to(torch.bfloat16), settings(methods=("lora", "teamlora")))
    assert report.surroundings.dtype == "bfloat16"
    assert [case.name for case in report.cases] == ["lora", "teamlora k2", "teamlora k2 loop"]
    assert {ratio.reference for ratio in report.ratios} == {"lora"} and report.ratios[0].interval is None


def test_the_page_shows_every_case_and_marks_what_is_reported(report):
    columns, rows = cost_rows(report)
    assert len(rows) == 3 * len(report.cases) and all(len(row) == len(columns) for row in rows)
    lora = next(row for row in rows if row[:2] == ["prefill", "lora"])
    assert lora[columns.index("peak / LoRA")] == "1.000" and lora[columns.index("time / LoRA [95% CI]")] == "–"
    columns, rows = reported_rows(report)
    assert "paper (reported)" in columns and rows[0][:4] == ["training time, teamlora / moelora", "train", "2", "0.87"]
    page = markdown(report)
    assert "not measured here" in page and "`cme bench adapters`" in page and "teamlora k2 loop" in page
    assert "reported" not in markdown(dataclasses.replace(report, reported=()))


def test_the_plot(report, tmp_path):
    for name in ("a.svg", "b.svg", "c.png"):
        save(report, tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text() and "teamlora k2 loop" in text and "decode" in text
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
