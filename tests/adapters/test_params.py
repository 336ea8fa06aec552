"""Counting parameters without weights, and the six shares that the paper reports."""

import json

import pytest
import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, T5Config
from typer.testing import CliRunner

from cme.adapters import AdapterSettings, count, formula_trainable, match_rank, settings_from
from cme.adapters.params import linear_shapes
from cme.cli.main import app
from cme.errors import SourceError, UsageError
from cme.leaderboard.rendering.paper import load_paper
from tests.adapters.conftest import SIZES, make_base

SHAPE = "chinese-llama-2-7b"
# LLaMA-2-7B by hand with 55,296 tokens, untied: 2·V·d + L·(4·d² + 3·d·f + 2·d) + d, d = 4096, f = 11008, L = 32.
TOTAL = 2 * 55296 * 4096 + 32 * (4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096) + 4096


@pytest.fixture(scope="module")
def shapes():
    return linear_shapes(SHAPE)


def test_the_shapes_of_the_papers_base(shapes):
    assert len(shapes) == 96
    assert shapes["model.layers.31.mlp.up_proj"] == (4096, 11008)
    assert shapes["model.layers.0.mlp.down_proj"] == (11008, 4096)


@pytest.mark.parametrize(
    ("method", "rank", "paper", "plain"),
    [
        ("lora", 32, 0.67, 0.67),
        ("lora", 128, 2.68, 2.68),
        ("moelora", 32, 2.71, 2.71),
        ("hydralora", 32, 1.84, 1.86),
        ("teamlora", 32, 2.71, 2.71),
        ("teamlora", 16, 1.35, 1.37),
    ],
)
def test_the_papers_shares_built_and_by_formula(shapes, method, rank, paper, plain):
    counts = count(SHAPE, AdapterSettings(method, rank=rank))
    assert counts.total_base == TOTAL
    assert counts.trainable == formula_trainable(method, shapes.values(), rank=rank)
    assert counts.share_percent == pytest.approx(100 * counts.trainable / TOTAL)
    assert round(counts.share_percent, 2) == plain and abs(counts.share_percent - paper) < 0.03
    assert len(counts.per_module) == 96 and sum(counts.per_module.values()) == counts.trainable


def test_the_command_shows_the_papers_rows():
    rows = json.loads(CliRunner().invoke(app, ["params", "--paper", "--json"]).stdout)
    assert [(row["method"], row["rank"], row["paper_percent"]) for row in rows] == [
        (row.method, row.rank, row.trainable_percent) for row in load_paper().rows
    ]
    for row in rows:
        assert row["built_percent"] == row["formula_percent"] == 100 * row["trainable"] / TOTAL
        assert abs(row["difference"]) < 0.03 and row["difference"] == row["built_percent"] - row["paper_percent"]
    lines = CliRunner().invoke(app, ["params", "--paper"]).stdout.splitlines()
    assert lines[5].split() == ["hydralora", "32", "4", "129,073,152", "1.86", "1.86", "1.84", "0.02"]
    refused = CliRunner().invoke(app, ["params", "--paper", "--rank", "3"])
    assert refused.exit_code == 2 and "without other options" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "per_layer"),
    [
        # R(d+m) + k·d + k², d and m of up_proj 24 and 40, R = 2·3 = 6, k = 2.
        (AdapterSettings("teamlora", rank=3, experts=2), 6 * 64 + 2 * 24 + 4),
        (AdapterSettings("teamlora", rank=3, experts=2, collaboration=False), 6 * 64 + 2 * 24 + 4),
        (AdapterSettings("teamlora", rank=3, experts=2, competition=False), 6 * 64 + 2 * 24),
        (AdapterSettings("teamlora", rank=3, experts=2, router_hidden=5), 6 * 64 + 5 * 24 + 2 * 5 + 4),
        (AdapterSettings("moelora", rank=3, experts=2), 6 * 64 + 2 * 24),
        (AdapterSettings("hydralora", rank=3, experts=2), 3 * 24 + 6 * 40 + 2 * 24),
        (AdapterSettings("mola", rank=3, experts=2), 6 * 64 + 2 * 24),
        (AdapterSettings("mola", rank=3, experts=2, options={"experts_pattern": {"up_proj": 5}}), 15 * 64 + 5 * 24),
        (AdapterSettings("adamole", rank=3, experts=2), 6 * 64 + 3 * 24 + 1),
        (AdapterSettings("comol", rank=3, experts=2), 3 * 64 + 2 * 9 + 2 * 3),
        (AdapterSettings("comol", rank=3, experts=2, options={"core_router": False}), 3 * 64 + 2 * 9 + 2 * 24),
        (AdapterSettings("smora", rank=9), 9 * (24 + 64)),
        (AdapterSettings("flylora", rank=9), 9 * 40),
        (AdapterSettings("moslora", rank=3), 3 * 64 + 9),
        # It starts with 1.5 times the rank, rounded up, and has a singular value for each.
        (AdapterSettings("adalora", rank=3), 5 * (64 + 1)),
        (AdapterSettings("lora", rank=3), 3 * 64),
    ],
)
def test_one_layer_by_hand(settings, per_layer):
    counts = count(make_base().config, settings)
    assert counts.per_module["model.layers.1.mlp.up_proj"] == per_layer


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        (AdapterSettings("lora", rank=5), {}),
        (AdapterSettings("moslora", rank=5), {}),
        (AdapterSettings("adalora", rank=4), {"rank": 6}),
        (AdapterSettings("moelora", rank=5, experts=3), {"experts": 3}),
        (AdapterSettings("hydralora", rank=5, experts=3), {"experts": 3}),
        (AdapterSettings("teamlora", rank=5, experts=3), {"experts": 3}),
        (AdapterSettings("teamlora", rank=5, competition=False), {"competition": False}),
        (AdapterSettings("mola", rank=5, experts=3), {"experts": 3}),
        (AdapterSettings("adamole", rank=5, experts=3), {"experts": 3}),
        (AdapterSettings("comol", rank=5, experts=3), {"experts": 3}),
        (AdapterSettings("smora", rank=5), {}),
        (AdapterSettings("flylora", rank=5), {}),
    ],
)
def test_formula_and_built_model_agree(settings, more):
    config = make_base().config
    formula = formula_trainable(settings.method, linear_shapes(config).values(), **({"rank": settings.rank} | more))
    assert count(config, settings).trainable == formula


@pytest.mark.parametrize("family", ["t5", "llava"])
def test_other_models_than_causal_ones(family):
    if family == "t5":
        config = T5Config(vocab_size=20, d_model=16, d_ff=24, num_layers=1, num_heads=2, d_kv=8)
        expected = {f"{part}.block.0.layer.{at}.DenseReluDense.wi" for part, at in (("encoder", 1), ("decoder", 2))}
    else:
        vision = CLIPVisionConfig(
            hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4
        )
        config = LlavaConfig(vision_config=vision, text_config=LlamaConfig(**SIZES))
        expected = {f"model.language_model.layers.{i}.mlp.up_proj" for i in range(2)}
    counts = count(config, AdapterSettings("teamlora", rank=2))
    assert expected <= counts.per_module.keys() and counts.trainable < counts.total_base


def test_without_an_adapter_everything_is_trained():
    counts = count(make_base().config, AdapterSettings("full"))
    assert counts.trainable == counts.total_base and counts.share_percent == 100


@pytest.mark.parametrize("method", ["lora", "moslora", "adalora", "hydralora", "teamlora", "comol", "smora", "flylora"])
@pytest.mark.parametrize("budget", ["9000", "25,000", "60%", "lora:16"])
def test_a_budget_buys_the_largest_rank_within_it(method, budget):
    config = make_base().config
    settings, counts = match_rank(config, {"method": method}, budget)
    most = {"60%": 0.6 * counts.total_base, "lora:16": 2 * 3 * 16 * 64}.get(budget) or int(budget.replace(",", ""))
    above = count(config, settings_from({"method": method, "rank": settings.rank + 1}))
    assert counts == count(config, settings)
    assert counts.trainable <= most < above.trainable
    assert settings.alpha == 2 * settings.rank


def test_a_budget_may_be_met_exactly():
    config = make_base().config
    for rank in (1, 2, 7, 8):
        exact = count(config, AdapterSettings("teamlora", rank=rank, experts=2)).trainable
        values = {"method": "teamlora", "experts": 2}
        assert match_rank(config, values, str(exact))[0].rank == rank
        assert match_rank(config, values, str(exact + 1))[0].rank == rank
        if rank > 1:
            assert match_rank(config, values, str(exact - 1))[0].rank == rank - 1


def test_another_methods_budget_is_taken_on_the_same_layers():
    values = {"method": "moslora", "target_modules": ["q_proj"]}
    settings, counts = match_rank(make_base().config, values, "lora:8")
    assert set(counts.per_module) == {f"model.layers.{i}.self_attn.q_proj" for i in range(2)}
    assert settings.rank == 6, "r(24+24) + r² is 324 with 6, 385 with 7; 8 · 48 is 384"


@pytest.mark.parametrize(
    ("values", "budget", "message"),
    [
        (
            {"method": "teamlora"},
            "2000",
            r"teamlora at rank 1 trains 2,336 parameters \(.* %\), more than the 2,000 of",
        ),
        ({"method": "lora"}, "1.35", "'1.35' is not a valid parameter budget. Give a share of the base"),
        ({"method": "lora"}, "lora:x", "is not a valid parameter budget"),
        ({"method": "lora"}, "-5", "is not a valid parameter budget"),
        ({"method": "lora"}, "lor:5", "unknown method 'lor'. Did you mean 'lora'"),
        ({"method": "lora"}, "lora:0", "rank: must be at least 1, found 0"),
        ({"method": "full"}, "1%", "full has no rank"),
        (
            {"method": "adalora", "options": {"init_r": 400}},
            "999999",
            "does not train more parameters at a higher rank",
        ),
    ],
)
def test_budgets_that_buy_nothing(values, budget, message):
    with pytest.raises(UsageError, match=message):
        match_rank(make_base().config, values, budget)


def test_the_command_finds_a_rank(tmp_path):
    make_base().save_pretrained(tmp_path)
    command = ["params", "--base", str(tmp_path), "--method", "teamlora", "--experts", "2", "--match-params", "30%"]
    values = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    settings, counts = match_rank(tmp_path, {"method": "teamlora", "experts": 2}, "30%")
    assert values["adapter"]["rank"] == settings.rank > 1 and values["trainable"] == counts.trainable
    last = CliRunner().invoke(app, command).stdout.splitlines()[-1]
    assert last == f"rank {settings.rank} is the largest rank that does not exceed 30%"
    refused = CliRunner().invoke(app, [*command, "--rank", "3"])
    assert refused.exit_code == 2 and "rank and match_params cannot be combined" in refused.stderr


def test_a_folder_and_a_file_count_alike(tmp_path):
    base = make_base(tie_word_embeddings=True)
    base.save_pretrained(tmp_path)
    folder, file = (count(place, AdapterSettings("teamlora", rank=2)) for place in (tmp_path, tmp_path / "config.json"))
    assert folder == file
    assert folder.total_base == sum(weight.numel() for weight in base.parameters())


def test_counting_takes_no_memory():
    before = torch.get_default_device()
    count(SHAPE, AdapterSettings("teamlora", rank=64, experts=8))
    assert torch.get_default_device() == before


def test_mistakes(tmp_path):
    with pytest.raises(UsageError, match=r"Did you mean 'chinese-llama-2-7b'\?"):
        count("chinese-llama-2", AdapterSettings("lora"))
    with pytest.raises(UsageError, match="Did you mean 'hydralora'"):
        formula_trainable("hydra", [(1, 1)], rank=1)
    with pytest.raises(
        UsageError, match="is a 'clip_vision_model', which transformers cannot build as a language model"
    ):
        count(CLIPVisionConfig(), AdapterSettings("lora"))
    (tmp_path / "config.json").write_text(json.dumps({"no": "model"}))
    with pytest.raises(SourceError, match="holds no model configuration"):
        count(tmp_path, AdapterSettings("lora"))
