"""``cme bench adapters``: outputs, random bases and refused input."""

import json
import sys

import pytest
from typer.testing import CliRunner

from cme.bench.adapters import BenchSettings
from cme.bench.adapters.base import open_base
from cme.cli.main import app
from cme.errors import CMEWarning, SourceError, UsageError
from cme.leaderboard import load_paper
from tests.adapters.conftest import make_base

SMALL = [
    "--rounds",
    "2",
    "--warmup",
    "0",
    "--batch",
    "1",
    "--train-length",
    "4",
    "--answer-tokens",
    "2",
    "--infer-length",
    "4",
]


@pytest.fixture(scope="module")
def shape(tmp_path_factory):
    """A configuration without weights."""
    folder = tmp_path_factory.mktemp("shape")
    make_base().config.save_pretrained(folder)
    return folder / "config.json"


def run(*arguments):
    return CliRunner().invoke(app, ["bench", "adapters", *SMALL, *map(str, arguments)])


def test_a_shape_with_random_weights(shape, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["cme", "bench", "adapters"])
    out = tmp_path / "costs"
    done = run(
        "--base", shape, "--methods", "base,lora,moelora,teamlora", "--total-rank", 4, "--experts", 4, "--out", out
    )
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == [
        "ratios.csv",
        "ratios.png",
        "ratios.svg",
        "report.json",
        "table.md",
    ]
    values = json.loads((out / "report.json").read_text())
    place = values["surroundings"]
    assert place["weights"] == "random" and place["command"][0] in ("cme", "cme.bench_adapters")
    # The paper's figures at four experts, from the data file.
    shown = {(item["reported"]["quantity"], item["reported"]["ratio"]) for item in values["reported"]}
    assert shown == {("training time", 0.70), ("training time", 1.62), ("inference speed", 1.40)}
    for text in ("teamlora k4 loop", "0.70", "1.62", "reported"):
        assert text in done.output and text in (out / "table.md").read_text()


def test_json(shape):
    done = run("--base", shape, "--methods", "lora,moslora", "--modes", "prefill", "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert [case["name"] for case in values["cases"]] == ["lora", "moslora"] and values["reported"] == []


def test_without_matplotlib_the_ratios_are_written_as_csv(shape, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = tmp_path / "costs"
    with pytest.warns(
        CMEWarning, match=r"needs matplotlib, which is not installed. Install it with: pip install .* in ratios.csv"
    ):
        done = run("--base", shape, "--methods", "base,lora", "--modes", "prefill", "--out", out)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == ["ratios.csv", "report.json", "table.md"]
    head, *rows = (out / "ratios.csv").read_text().splitlines()
    ratios = json.loads((out / "report.json").read_text())["ratios"]
    assert head.split(",")[:4] == ["mode", "case", "reference", "median"] and len(rows) == len(ratios) > 0
    for row, ratio in zip(rows, ratios, strict=True):
        cells = row.split(",")
        assert cells[:3] == [ratio["mode"], ratio["case"], ratio["reference"]]
        assert float(cells[3]) == ratio["quartiles"]["median"] and cells[4] == "", "two rounds hold no interval"


def test_random_weights_are_the_same_for_a_seed(shape):
    (one, kind), (same, _), (other, _) = (open_base(str(shape), device="cpu", seed=seed) for seed in (1, 1, 2))
    assert kind == "random" and not one.training
    assert (one.lm_head.weight == same.lm_head.weight).all() and (one.lm_head.weight != other.lm_head.weight).any()


def test_the_papers_figures_are_marked():
    costs = load_paper().costs
    assert all(cost.reported for cost in costs)
    trained = {(cost.reference, cost.experts): cost.ratio for cost in costs if cost.quantity == "training time"}
    assert trained == {
        **{("moelora", 2): 0.87, ("moelora", 4): 0.70, ("moelora", 8): 0.63},
        **{("lora", 4): 1.62, ("lora", 8): 2.38},
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"methods": ("temlora",)}, "Did you mean 'teamlora'"),
        ({"methods": ("full",)}, "'full' cannot be measured, because"),
        ({"methods": ("lora", "lora")}, "each method can be given only once"),
        ({"modes": ("prefil",)}, "Did you mean 'prefill'"),
        ({"modes": ()}, r"no mode .* is given"),
        ({"forms": ("lop",)}, "unknown form 'lop'"),
        ({"rounds": 1}, "rounds must be at least 2"),
        ({"warmup": -1}, "warmup: must be at least 0"),
        ({"experts": ()}, "found none"),
        ({"experts": (0,)}, "distinct numbers above 0, found 0"),
        ({"experts": (2, 3)}, "32 is not divisible by 3 experts"),
        ({"batch": 0}, "batch: must be at least 1"),
        ({"train_length": 1}, "train_length must be at least 2"),
        ({"answer_tokens": 0}, "answer_tokens must be from 1 to 127"),
        ({"train_length": 4, "answer_tokens": 4}, "answer_tokens must be from 1 to 3"),
    ],
)
def test_mistakes(fields, message):
    with pytest.raises(UsageError, match=message):
        BenchSettings(**fields)


def test_only_methods_with_experts_share_the_rank():
    assert BenchSettings(methods=("lora", "moslora"), total_rank=6).total_rank == 6


def test_mistakes_on_the_command_line(shape, tmp_path):
    assert "Give whole numbers separated by commas, such as 2,4,8" in run("--experts", "2,x").output
    done = run("--base", shape, "--methods", "lora", "--forms", "loop", "--target-modules", "nothing")
    assert done.exit_code == 2 and "nothing" in done.output
    done = run("--base", shape, "--dtype", "float31")
    assert done.exit_code == 2 and "Did you mean 'float32'" in done.output
    done = run("--base", shape, "--device", "mps")
    assert done.exit_code == 2 and "device 'mps' cannot be used" in done.output
    broken = tmp_path / "config.json"
    broken.write_text("{}")
    with pytest.raises(SourceError, match="no model configuration"):
        open_base(str(broken))


def test_two_settings_of_one_method_in_one_run(shape, tmp_path):
    out = tmp_path / "costs"
    methods = "lora,teamlora,teamlora:gate_sum=1,teamlora:gate_sum=1:balance_weight=0.1"
    done = run(
        *(
            "--base",
            shape,
            "--methods",
            methods,
            "--total-rank",
            4,
            "--modes",
            "train",
            "--forms",
            "fused",
            "--out",
            out,
        )
    )
    assert done.exit_code == 0, done.output
    values = json.loads((out / "report.json").read_text())
    names = ["teamlora k4", "teamlora:gate_sum=1 k4", "teamlora:gate_sum=1:balance_weight=0.1 k4"]
    assert [case["name"] for case in values["cases"]] == ["lora", *names]
    pairs = {(item["case"], item["reference"]) for item in values["ratios"]}
    assert pairs == {(name, "lora") for name in names} | {(name, "teamlora k4") for name in names[1:]}
    for name in names:
        assert name in (out / "ratios.csv").read_text()


def test_the_settings_of_a_case_reach_its_adapter():
    from cme.bench.adapters.cases import Case

    case = Case("teamlora:gate_sum=1:balance_weight=0.1", "fused", 4, 8)
    settings = case.settings(None)
    assert (settings.method, settings.gate_sum, settings.balance_weight, settings.rank) == ("teamlora", 1, 0.1, 8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("teamlora:gate_sum", "'gate_sum' is not a setting of teamlora. Write METHOD:KEY=VALUE"),
        ("teamlora:gate_sum=2", "--methods teamlora:gate_sum=2: "),
        ("teamlora:gatesum=1", "did you mean 'gate_sum'?"),
        ("teamlora:rank=4", "the benchmark sets rank itself"),
        ("teamlora:gate_sum=1:gate_sum=2", "gate_sum is given twice. Give it once."),
        ("lora:gate_sum=1", "lora has no setting 'gate_sum'"),
        ("base:gate_sum=1", "is not a setting of base"),
        ("teamlroa:gate_sum=1", "teamlora"),
    ],
)
def test_settings_that_a_method_does_not_have(name, message):
    with pytest.raises(UsageError) as caught:
        BenchSettings(methods=(name,))
    assert message in str(caught.value)
