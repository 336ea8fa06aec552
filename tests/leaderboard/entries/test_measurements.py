"""A grid and a measurement beside a row: taken if they are of the row, refused in words if they are not."""

import json
import shutil

import pytest

import cme
from cme.adapters.methods import METHODS
from cme.bench.adapters.settings import settings_of
from cme.errors import CMEError, UsageError
from cme.leaderboard import make_entry, verify
from cme.leaderboard.entries.files import read_entry
from cme.records import Grid, GridRun, Ratio, write_record
from cme.records.method import GATE_SUMS
from tests.leaderboard.workshop import make_samples

RUNS = (
    GridRun(learning_rate=1e-4, folder="lr-1e-04", validation_loss=2.5, last_loss=2.4, problem=None),
    GridRun(learning_rate=2e-4, folder="lr-2e-04", validation_loss=2.25, last_loss=2.2, problem=None),
    GridRun(learning_rate=5e-4, folder="lr-5e-04", validation_loss=None, last_loss=None, problem="diverged\nat step 3"),
)
SURROUNDINGS = {
    "base": "smollm2-135m",
    "base_parameters": 135_749_567,
    "device": "cpu",
    "hardware": "A processor",
    "threads": 2,
    "dtype": "float32",
    "command": ["cme", "bench", "adapters", "--rounds", "20", "--out", "/home/me/costs"],
}
WRONG = {
    "mode": "train",
    "case": "teamlora k4",
    "reference": "lora",
    "quartiles": {"median": "slow"},
    "interval": None,
}
ROW = {"rows": 4, "names": ("qqp", "anli")}


def grid(folder, **changes):
    values = {"method": "teamlora", "steps": 100, "runs": RUNS, "best": "lr-2e-04", "learning_rate": 2e-4}
    write_record(folder / "lr-grid.json", Grid(**values | changes))
    return folder


def report(folder, **changes):
    """A measurement, as ``cme bench adapters --out`` writes it, of what is read from it."""

    def case(name, method, rank, experts, peak, form="plain"):
        modes = [{"mode": mode, "peak_bytes": peak if mode == "train" else 1} for mode in ("train", "prefill")]
        return {"name": name, "method": method, "rank": rank, "experts": experts, "form": form, "modes": modes}

    def ratio(mode, value, interval):
        return {
            "mode": mode,
            "case": "teamlora k4",
            "reference": "lora",
            "quartiles": {"low": value - 0.1, "median": value, "high": value + 0.1},
            "interval": interval,
            "rounds": 20,
        }

    values = {
        "kind": "adapter-costs",
        "schema_version": 1,
        "settings": {"total_rank": 32, "rounds": 20, "target_modules": None},
        "surroundings": SURROUNDINGS,
        "cases": [
            case("lora", "lora", 32, None, 200),
            case("teamlora k4", "teamlora", 8, 4, 250, "fused"),
            case("teamlora k4 loop", "teamlora", 8, 4, 999, "loop"),
        ],
        "ratios": [
            ratio("train", 1.25, {"low": 1.2, "high": 1.3, "coverage": 0.96}),
            ratio("prefill", 1.5, None),
            ratio("train", 9.9, None) | {"reference": "base"},
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(values | changes))
    return folder


def test_a_grid_is_kept_with_the_row(workshop):
    folder = grid(workshop.root / "grid")
    entry = workshop.row("team", "teamlora", 0.6, seeds=(0, 1), grid=folder, **ROW)
    assert entry.lr_grid.at_edge is False and entry.lr_grid.learning_rate == 2e-4
    assert [run.validation_loss for run in entry.lr_grid.runs] == [2.5, 2.25, None]
    assert entry.lr_grid.runs[2].problem == "diverged at step 3"
    assert workshop.row("file", "teamlora", 0.6, grid=folder / "lr-grid.json", **ROW).lr_grid == entry.lr_grid
    verify(workshop.entries)


def test_the_best_rate_may_lie_at_the_edge(workshop):
    folder = grid(workshop.root / "grid", runs=RUNS[1:])
    assert workshop.row("team", "teamlora", 0.6, grid=folder, **ROW).lr_grid.at_edge is True
    verify(workshop.entries)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "lora"}, "is a grid of lora, but the row's method is teamlora"),
        ({"learning_rate": 1e-4}, r"chose the learning rate 0\.0001, but the row was trained with 0\.0002"),
        ({"learning_rate": None, "best": None}, "has not chosen a learning rate yet"),
    ],
)
def test_the_grid_of_another_row_is_refused(workshop, changes, message):
    with pytest.raises(UsageError, match=message):
        workshop.row("team", "teamlora", 0.6, grid=grid(workshop.root / "grid", **changes), **ROW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_fingerprint": "c" * 64}, r"\(base cccccccccccc there, \w{12} here\)"),
        ({"mix_fingerprint": "d" * 64}, r"\(mix dddddddddddd there, \w+ here\)"),
        ({"adapter": {"method": "teamlora", "rank": 256, "experts": 4}}, r"\(rank 256 there, 8 here\)"),
        ({"adapter": {"method": "teamlora", "rank": 8, "experts": 2}}, r"\(experts 2 there, 4 here\)"),
        ({"adapter": {"method": "teamlora", "rank": 8, "balance_form": "switch"}}, r"\(balance_form switch there"),
    ],
)
def test_a_grid_with_other_runs_than_the_row_is_refused(workshop, changes, message):
    """Grids that record their base, mix and adapter chose the rate of such rows only. Their number of steps is free."""
    with pytest.raises(UsageError, match=f"has other runs than the row {message}"):
        workshop.row("team", "teamlora", 0.6, grid=grid(workshop.root / "grid", **changes), **ROW)
    run = workshop.row("other", "teamlora", 0.6, **ROW).runs[0]
    same = {"steps": 3, "adapter": {"method": "teamlora", "rank": 8, "gate_sum": "free"}}
    same["mix_fingerprint"] = run.provenance.training.mix_fingerprint
    entry = workshop.row("team", "teamlora", 0.6, grid=grid(workshop.root / "grid", **same), **ROW)
    assert entry.lr_grid.adapter.rank == 8 and entry.lr_grid.mix_fingerprint == same["mix_fingerprint"]
    verify(workshop.entries)


def test_costs_are_those_of_the_row_over_lora(workshop):
    folder = report(workshop.root / "costs")
    entry = workshop.row("team", "teamlora", 0.6, bench=folder, **ROW)
    assert entry.cost_ratios.plain() == {
        "train": {"value": 1.25, "low": 1.2, "high": 1.3},
        "prefill": {"value": 1.5, "low": None, "high": None},
        "memory": {"value": 1.25, "low": None, "high": None},
        "base": "smollm2-135m",
        "total_rank": 32,
        "rounds": 20,
        "device": "cpu",
        "hardware": "A processor",
        "threads": 2,
        "dtype": "float32",
        "command": "cme bench adapters --rounds 20",
    }
    lora = workshop.row("lora", "lora", 0.6, settings={"rank": 32}, bench=folder / "report.json", **ROW)
    assert lora.cost_ratios.train == lora.cost_ratios.memory == Ratio(value=1.0, low=1.0, high=1.0)
    verify(workshop.entries)


def test_costs_are_replaced_without_results_and_nothing_else_changes(workshop):
    first = report(workshop.root / "first")
    old = workshop.row("team", "teamlora", 0.6, bench=first, **ROW)
    times = json.loads((first / "report.json").read_text())["ratios"]
    times = [item | {"quartiles": {"median": 2.0}, "interval": None} for item in times]
    second = report(workshop.root / "second", ratios=times)
    shutil.rmtree(workshop.root / "runs")
    entry = cme.submit(name="team", bench=second, entries=workshop.entries).entry
    assert entry.cost_ratios.train == Ratio(value=2.0, low=None, high=None)
    assert entry.replace(cost_ratios=old.cost_ratios) == old
    assert read_entry(workshop.entries / "team.json") == entry
    verify(workshop.entries)


def test_replaced_costs_must_be_those_of_the_row(workshop):
    folder = report(workshop.root / "costs")
    workshop.row("miss", "lora", 0.6, settings={"rank": 4}, **ROW)
    with pytest.raises(UsageError, match=r"does not contain lora, rank 4"):
        cme.submit(name="miss", bench=folder, entries=workshop.entries)
    make_entry([workshop.result("base", make_samples(0.5, "b"))], [], workshop.entries)
    with pytest.raises(UsageError, match="base is a base or a baseline, which has no costs of an adapter"):
        cme.submit(name="base", bench=folder, entries=workshop.entries)
    with pytest.raises(CMEError, match=r"nobody\.json"):
        cme.submit(name="nobody", bench=folder, entries=workshop.entries)
    both = {"name": "miss", "bench": folder}
    for given in ({}, {"name": "miss"}, {"bench": folder}, both | {"run": workshop.root / "runs" / "miss"}):
        with pytest.raises(UsageError, match=r"at least one result.*To replace the measured costs"):
            cme.submit(entries=workshop.entries, **given)


def test_a_row_gets_the_costs_of_its_own_sum_of_gate_weights(workshop):
    folder = report(workshop.root / "costs")
    values = json.loads((folder / "report.json").read_text())
    own = {**values["cases"][1], "name": "teamlora k4 own", "method": "teamlora:gate_sum=1"}
    times = {**values["ratios"][0], "case": own["name"], "quartiles": {"median": 2.0}, "interval": None}
    report(folder, cases=[*values["cases"], own], ratios=[*values["ratios"], times])
    for total, value in ((1, 2.0), ("free", 1.25)):
        settings = {"rank": 8, "experts": 4, "gate_sum": total}
        entry = workshop.row(f"sum-{total}", "teamlora", 0.6, settings=settings, bench=folder, **ROW)
        assert entry.cost_ratios.train.value == value


OTHERS = [
    ({"dropout": 0.1}, "teamlora:dropout=0.1"),
    ({"router_hidden": 1024}, "teamlora:router_hidden=1024"),
    ({"competition": False}, "teamlora:competition=false"),
    ({"collaboration": False}, "teamlora:collaboration=false"),
    ({"balance_weight": 0.1, "balance_form": "switch"}, "teamlora:balance_weight=0.1:balance_form=switch"),
    ({"gate_sum": 1, "balance_weight": 1e-05}, "teamlora:gate_sum=1:balance_weight=0.00001"),
    ({"gate_scale": 0.5}, "teamlora:gate_scale=0.5"),
]


@pytest.mark.parametrize(("changes", "name"), OTHERS)
def test_settings_that_change_the_computation_have_costs_of_their_own(workshop, changes, name):
    """The ratio of the default TeamLoRA, 1.25, is not that of such a row. Its own case is named as the benchmark names it."""
    settings = {"rank": 8, "experts": 4, "dropout": 0.0, "competition": True, "balance_weight": 0.0, "router_hidden": 0}
    folder = report(workshop.root / "costs")
    with pytest.raises(UsageError, match=f"does not contain {name}, rank 8.* --methods lora,teamlora,{name} --total"):
        workshop.row("other", "teamlora", 0.6, settings=settings | changes, bench=folder, **ROW)
    assert settings_of(name).items() >= changes.items()
    values = json.loads((folder / "report.json").read_text())
    own = {**values["cases"][1], "name": "own", "method": name}
    times = {**values["ratios"][0], "case": "own", "quartiles": {"median": 2.0}, "interval": None}
    report(folder, cases=[*values["cases"], own], ratios=[*values["ratios"], times])
    entry = workshop.row("other", "teamlora", 0.6, settings=settings | changes, bench=folder, **ROW)
    plain = workshop.row("plain", "teamlora", 0.6, settings=settings, bench=folder, **ROW)
    assert (entry.cost_ratios.train.value, plain.cost_ratios.train.value) == (2.0, 1.25)


def test_the_defaults_of_the_sums_of_gate_weights_are_those_of_the_methods():
    assert {name: METHODS[name].gate_sum for name in GATE_SUMS} == GATE_SUMS
    own = [name for name in METHODS if "gate_sum" in METHODS[name].settings]
    assert set(own) <= set(GATE_SUMS)


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        (
            {"rank": 4, "experts": 8},
            {},
            r"does not contain teamlora, rank 4, 8 experts; it contains lora \(rank 32\), teamlora k4",
        ),
        ({"rank": 8, "experts": 4, "target_modules": ["q_proj"]}, {}, r"does not contain teamlora, .* on \['q_proj'\]"),
        (None, {"cases": []}, "does not contain teamlora, rank 8, 4 experts; it contains no adapter"),
        (None, {"surroundings": SURROUNDINGS | {"base_parameters": 7}}, "measured on a base with 7 parameters"),
    ],
)
def test_the_costs_of_another_row_are_refused(workshop, settings, changes, message):
    with pytest.raises(UsageError, match=message):
        workshop.row("team", "teamlora", 0.6, settings=settings, bench=report(workshop.root / "c", **changes), **ROW)


def test_a_method_of_peft_has_no_measured_costs(workshop):
    settings = {"method": "peft", "options": {"peft_type": "MISS", "r": 16}}
    with pytest.raises(UsageError, match=r"costs of miss cannot be measured.*Leave --bench out"):
        workshop.row("m", "miss", 0.6, settings=settings, bench=report(workshop.root / "c"), **ROW)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "result"}, "is not a report of cme bench adapters"),
        ({"schema_version": 9}, "is not a report of cme bench adapters"),
        ({"cases": 3}, r"report\.json: cases: expected a list, found 3"),
        ({"settings": {}}, "settings: missing key 'total_rank'"),
        ({"ratios": [WRONG]}, "ratios: item 1: quartiles: median: expected float, found 'slow'"),
    ],
)
def test_what_is_no_measurement_is_refused(workshop, changes, says):
    with pytest.raises(CMEError, match=says):
        workshop.row("team", "teamlora", 0.6, bench=report(workshop.root / "c", **changes), **ROW)


def test_a_base_has_neither(workshop):
    base = workshop.result("base", make_samples(0.5, "b", rows=2, names=("qqp",)))
    with pytest.raises(UsageError, match="Leave --grid and --bench out"):
        make_entry([base], [], workshop.entries, grid=grid(workshop.root / "grid"))


@pytest.mark.parametrize(
    ("method", "options"), [("mola", {"experts_pattern": {"up_proj": 2}}), ("comol", {"core_router": False})]
)
def test_costs_with_default_options_are_not_those_of_options_that_change_them(workshop, method, options):
    settings = {"method": method, "rank": 8, "experts": 4, "options": options}
    with pytest.raises(UsageError, match=r"change its costs, but cme bench adapters .* their default options"):
        workshop.row("m", method, 0.6, settings=settings, bench=report(workshop.root / "c"), **ROW)
