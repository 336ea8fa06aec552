"""Settings of methods are read, checked, written back and converted to PEFT's configuration."""

from dataclasses import replace

import pytest

from cme.adapters import METHODS, AdapterSettings, build_config, settings_from, settings_to_mapping
from cme.errors import UsageError
from tests.adapters.conftest import make_base, make_config
from tests.adapters.variants import RANKWISE, ROUTED


def test_defaults():
    settings = settings_from({"method": "teamlora", "rank": 4})
    assert settings == AdapterSettings("teamlora", rank=4, experts=4, alpha=8.0, gate_sum="free")
    assert settings.lora_alpha == 8 and AdapterSettings("lora", rank=3).lora_alpha == 6


@pytest.mark.parametrize("method", METHODS)
def test_written_and_read_back(method):
    values = {"rank": 5, "alpha": 7, "target_modules": ["q_proj", "v_proj"], "options": {"peft_type": "LORA"}}
    takes = METHODS[method].settings if method == "peft" else set(METHODS[method].settings) - {"options"}
    settings = settings_from({"method": method} | {key: value for key, value in values.items() if key in takes})
    written = settings_to_mapping(settings)
    # An earlier name, and what earlier versions did not have, are written where they are used.
    assert next(iter(written)) == "method"
    assert set(written) == {"method", *METHODS[method].settings} - {"gate_scale", "balance_form"}
    assert settings_from(written) == settings


def test_every_mistake_at_once():
    values = {
        "method": "teamlora",
        "rnak": 3,
        "rank": 0,
        "experts": True,
        "alpha": "8",
        "dropout": 1,
        "competition": 1,
        "gate_sum": "expert",
        "balance_weight": -1,
        "balance_form": "new",
        "router_hidden": 2.5,
        "target_modules": [],
    }
    with pytest.raises(UsageError) as caught:
        settings_from(values, "recipe x.yaml, adapter")
    lines = str(caught.value).splitlines()
    assert lines[0] == "recipe x.yaml, adapter:"
    assert "unknown key 'rnak' (did you mean 'rank'?)" in lines[1]
    assert len(lines) == len(values)
    for name in values.keys() - {"method", "rnak"}:
        assert any(line.startswith(f"  {name}: ") for line in lines), name


@pytest.mark.parametrize(
    "values",
    [
        {"alpha": 0},
        {"alpha": float("nan")},
        {"gate_scale": 0},
        {"target_modules": ["", "x"]},
        {"target_modules": [1]},
        {"dropout": -0.1},
    ],
)
def test_out_of_range(values):
    with pytest.raises(UsageError, match=f"adapter settings: {next(iter(values))}: (must be|item 1: expected)"):
        settings_from({"method": "teamlora"} | values)


def test_a_setting_of_another_method_is_refused():
    with pytest.raises(
        UsageError, match=r"lora has no setting 'experts' \(it has rank, alpha, dropout, target_modules\)"
    ):
        settings_from({"method": "lora", "experts": 4})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "temlora"}, "unknown method 'temlora'. Did you mean 'teamlora'?"),
        ({"method": "mixlora"}, "the method 'mixlora' is not available, because its experts are whole feed-forward"),
        ({"method": "MTL_LoRA"}, "not available, because it needs the task of every row, and no method in CME uses"),
        (
            {"method": "loramoe"},
            "that of the method 'moelora'.* needs a label for every row, which the trainer does not",
        ),
        ({}, f"no method is given. .* The methods are {', '.join(METHODS)}"),
    ],
)
def test_unknown_methods(values, message):
    with pytest.raises(UsageError, match=message):
        settings_from(values)


def test_a_configuration_for_lora():
    config = build_config(settings_from({"method": "lora", "rank": 5, "dropout": 0.1}), make_base())
    assert (config.peft_type, config.r, config.lora_alpha, config.lora_dropout) == ("LORA", 5, 10, 0.1)
    assert config.target_modules == {"gate_proj", "up_proj", "down_proj"} and config.task_type == "CAUSAL_LM"
    assert isinstance(config.lora_alpha, int)


def test_a_configuration_for_teamlora():
    values = {
        "method": "teamlora",
        "rank": 5,
        "experts": 3,
        "alpha": 7.5,
        "dropout": 0.1,
        "target_modules": "model.*up_proj",
        "collaboration": False,
        "competition": False,
        "gate_sum": "experts",
        "balance_weight": 0.5,
        "balance_form": "released",
        "router_hidden": 6,
    }
    config = build_config(settings_from(values), make_base())
    assert config.peft_type == "TEAMLORA" and config.task_type == "CAUSAL_LM"
    assert (config.r, config.lora_alpha, config.lora_dropout) == (5, 7.5, 0.1)
    for name in (
        "experts",
        "target_modules",
        "collaboration",
        "competition",
        "gate_sum",
        "balance_weight",
        "balance_form",
        "router_hidden",
    ):
        assert getattr(config, name) == values[name]
    assert config.scaling == 7.5 / 5 * 3


def test_the_table_says_what_and_where_from():
    for name, method in METHODS.items():
        assert name == method.name and method.summary
        if name not in ("peft", "full"):  # the one is any method, the other none
            assert "arXiv" in method.citation and {"rank", "alpha", "dropout", "target_modules"} <= set(method.settings)


def test_settings_made_in_python_get_the_messages_of_a_recipe():
    with pytest.raises(UsageError, match=r"adapter settings: unknown key 'rnak' .did you mean 'rank'"):
        AdapterSettings("lora", rnak=4)
    with pytest.raises(UsageError, match=r"adapter settings: rank: expected int, found '4'"):
        AdapterSettings("lora", rank="4")
    with pytest.raises(UsageError, match=r"^unknown method 'temlora'\. Did you mean 'teamlora'"):
        build_config(AdapterSettings("temlora"), make_base())
    assert METHODS.get("temlora") is None
    assert AdapterSettings("lora", target_modules=["all-linear"]).target_modules == "all-linear"


def test_methods_in_which_every_rank_is_an_expert_have_no_setting_for_their_number():
    from cme.adapters.routed.rankwise import RankwiseConfig
    from cme.records.method import RANK_EXPERTS

    own = [name for name in ROUTED if isinstance(make_config(name), RankwiseConfig)]
    assert sorted(own) == sorted(RANK_EXPERTS) == sorted(RANKWISE)
    assert all("experts" not in METHODS[name].settings for name in RANK_EXPERTS)


def test_methods_declare_to_which_experts_their_ranks_belong_as_records_read_them():
    from cme.records.method import ranks_of, recorded_ranks

    for name, method in METHODS.items():
        if METHODS.source(name) == METHODS.source("lora"):
            assert ranks_of(name, None) == method.ranks and recorded_ranks(name, method.ranks) is None
    own = replace(METHODS["mola"], ranks="shared")
    assert recorded_ranks("elsewhere", own.ranks) == ranks_of("elsewhere", "shared") == "shared"
    assert own.total_rank(AdapterSettings("mola", rank=8, experts=4)) == 8
    with pytest.raises(ValueError, match="ranks must be own, shared, single, but is 'both'"):
        replace(own, ranks="both")
    with pytest.raises(ValueError, match="every rank is an expert"):
        replace(own, ranks="single")
