"""Recipes and settings: reading, overrides and errors."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from cme.adapters import METHODS, AdapterSettings
from cme.errors import UsageError
from cme.paths import leaderboards_dir
from cme.records.method import method_label
from cme.training import TrainSettings, load_recipe, recipe_text, recipes, settings_from


def test_a_resolved_configuration_is_a_recipe_that_gives_the_same_settings(tmp_path):
    training = TrainSettings(data="mix", learning_rate=1e-5, steps=7, prompt_format="chat", threads=2)
    adapter = AdapterSettings("teamlora", rank=4, alpha=8.0, target_modules=("up_proj",), gate_scale="experts")
    (tmp_path / "config.yaml").write_text(recipe_text(training, adapter))
    assert load_recipe(tmp_path / "config.yaml") == (training, adapter)


def test_flags_override_the_recipe_and_steps_take_the_place_of_epochs(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("training: {data: here, epochs: 2, learning_rate: 2e-4}\nadapter: {method: lora, rank: 4}\n")
    training, adapter = load_recipe(file, {"steps": 9, "rank": 16, "seed": None, "data": "there"})
    assert (training.steps, training.epochs, training.data, training.learning_rate) == (9, None, "there", 2e-4)
    assert (adapter.method, adapter.rank) == ("lora", 16)


def test_every_mistake_is_named_at_once(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(
        "training: {learning_rte: 1.0, batch_size: many, schedule: cosinus, warmup: 2, epochs: 1, steps: 5}\n"
        "adapter: {method: lora, ranc: 4, experts: 2}\n"
        "trainer: {}\n"
    )
    with pytest.raises(UsageError) as raised:
        load_recipe(file, {"batch_sise": 3})
    message = str(raised.value)
    for part in (
        "unknown section 'trainer'",
        "unknown key 'learning_rte' (did you mean 'learning_rate'?)",
        "batch_size: expected int, found 'many'",
        "schedule: must be one of cosine, linear, constant, found 'cosinus'",
        "warmup: must be a share of the steps",
        "epochs and steps are both given",
        "data: missing",
        "unknown key 'ranc' (did you mean 'rank'?)",
        "lora has no setting '",
        "unknown setting 'batch_sise' (did you mean 'batch_size'?)",
    ):
        assert part in message


def test_a_misspelt_section_is_reported_alone(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("training:\n  data: mix\nadaptor:\n  method: lora\n")
    with pytest.raises(UsageError) as caught:
        load_recipe(recipe)
    assert "unknown section 'adaptor'" in str(caught.value) and "no method" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "training settings: data: missing. Give the folder of a mix, as written by cme build-data."),
        ({"data": "mix", "lr": 1.0}, "training settings: unknown key 'lr'"),
        ({"data": "mix", "batch_size": True}, "training settings: batch_size: expected int, found True."),
        ({"data": "mix", "learning_rate": 0}, "training settings: learning_rate: must be above 0, found 0."),
        ({"data": "mix", "epochs": 1, "steps": 2}, "training settings: epochs and steps are both given. Give only one"),
        (
            {"data": "mix", "dtype": "int4"},
            "training settings: dtype: must be one of auto, bfloat16, float32, found 'int4'.",
        ),
    ],
)
def test_settings_made_in_python_are_checked_as_a_recipe_is(values, says):
    with pytest.raises(UsageError) as made:
        TrainSettings(**values)
    with pytest.raises(UsageError) as read:
        settings_from(values)
    assert str(made.value).startswith(says) and str(read.value) == str(made.value)


def test_an_unknown_recipe_gets_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'demo-lora'"):
        load_recipe("demo-lorra")
    with pytest.raises(UsageError, match=r"recipe nowhere/x\.yaml does not exist"):
        load_recipe("nowhere/x.yaml")


@pytest.mark.parametrize("name", recipes())
def test_the_recipes_that_come_with_cme_are_valid_and_say_what_they_are(name):
    training, adapter = load_recipe(name, {"data": "mix"})
    assert training.data == "mix"
    label = method_label(adapter.method, adapter.options)
    assert label in ("teamlora" if name.startswith(("ablation", "experts")) else name).split("-")
    text = (leaderboards_dir() / "recipes" / f"{name}.yaml").read_text()
    assert text.startswith("# ") and len(text.splitlines()) <= 14


def test_there_is_a_recipe_for_every_row_of_the_papers_tables():
    assert {
        *("lora-r32", "lora-r128", "adalora-r128", "moslora-r128", "moelora-r32", "hydralora-r32"),
        *("teamlora-r32", "teamlora-r16", "teamlora-r32-authors-scale", "full"),
        *(f"ablation-{name}" for name in ("neither", "collaboration", "competition", "both")),
        *(f"experts-{number}" for number in (1, 2, 4, 8)),
        *(f"demo-{name}" for name in ("lora", "adalora", "moslora", "moelora", "hydralora", "teamlora")),
    } <= set(recipes())


def test_there_is_a_demo_recipe_and_another_for_every_method_of_cme():
    for method in METHODS:
        names = [name for name in recipes() if load_recipe(name, {"data": "mix"})[1].method == method]
        if METHODS[method].package:
            assert f"demo-{method}" in names and len(names) > 1


def test_layers_have_different_numbers_of_experts_by_depth():
    from cme.adapters import count

    _, adapter = load_recipe("mola-r8-by-depth", {"data": "mix"})
    counts = count("chinese-llama-2-7b", adapter).per_module
    # R(d+m) + k·d with R = 8·k, d = 4096, m = 11008.
    for layer, experts in ((0, 2), (7, 2), (8, 4), (15, 4), (16, 6), (23, 6), (24, 8), (31, 8)):
        assert counts[f"model.layers.{layer}.mlp.up_proj"] == 8 * experts * (4096 + 11008) + experts * 4096


@pytest.mark.parametrize(
    ("name", "percent"),
    [
        # TeamLoRA paper, main table, column "Param %".
        *[("lora-r32", 0.67), ("lora-r128", 2.68), ("moelora-r32", 2.71), ("hydralora-r32", 1.84)],
        *[("teamlora-r32", 2.71), ("teamlora-r16", 1.35), ("ablation-neither", 2.71), ("experts-4", 2.71)],
    ],
)
def test_the_papers_recipes_train_the_papers_share_of_the_parameters(name, percent):
    from cme.adapters import count

    _, adapter = load_recipe(name, {"data": "mix"})
    assert count("chinese-llama-2-7b", adapter).share_percent == pytest.approx(percent, abs=0.03)


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        *[("dora-r32", 1.018), ("miss-r56", 1.008), ("hira-r32", 1.0), ("oft-b128", 0.841), ("vera-r256", 0.019)],
        *[("ia3", 0.013), ("randlora-r36", 0.975), ("rslora-r128", 4.0), ("pissa-r32", 1.0)],
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_recipes_of_pefts_own_methods_have_the_budget_that_they_state(name, ratio):
    from cme.adapters import count

    lora, adapter = (load_recipe(recipe, {"data": "mix"})[1] for recipe in ("lora-r32", name))
    shares = [count("chinese-llama-2-7b", settings).trainable for settings in (adapter, lora)]
    assert shares[0] / shares[1] == pytest.approx(ratio, abs=1e-3)
    text = (leaderboards_dir() / "recipes" / f"{name}.yaml").read_text()
    assert ratio in (1.0, 4.0) or f"{ratio:.2f} times" in text


@pytest.mark.parametrize(
    ("name", "to_lora_32", "to_lora_128"),
    [
        *[("mola-r32", 4.05, 1.01), ("mola-r8-by-depth", 1.32, 0.33), ("adamole-r32", 4.07, 1.02)],
        *[("comol-r128", 4.27, 1.07), ("smora-r64", 2.85, 0.71), ("flylora-r32", 0.58, 0.14)],
    ],
)
def test_recipes_of_routed_methods_have_the_budget_that_they_and_the_page_state(name, to_lora_32, to_lora_128):
    from cme.adapters import count

    counts = {
        recipe: count("chinese-llama-2-7b", load_recipe(recipe, {"data": "mix"})[1]).trainable
        for recipe in ("lora-r32", "lora-r128", name)
    }
    assert counts[name] / counts["lora-r32"] == pytest.approx(to_lora_32, abs=5e-3)
    assert counts[name] / counts["lora-r128"] == pytest.approx(to_lora_128, abs=5e-3)
    text = (leaderboards_dir() / "recipes" / f"{name}.yaml").read_text()
    shares = {
        f"{to_lora_32:.2f} times the parameters of lora-r32",
        f"{to_lora_128:.2f} times the parameters of lora-r128",
    }
    assert any(share in text for share in shares)
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    assert f"| `{name}` | {to_lora_32:.2f} | {to_lora_128:.2f} |" in page


_RATES = {"ia3": 5e-3, "vera-r256": 1e-3, "hira-r32": 4.5e-3}
"""Recipes with a learning rate of their own: that of PEFT's benchmark, because the paper's is too low for these methods."""


def test_ia3_has_the_factors_of_its_paper_and_none_that_repeats_another():
    from cme.adapters import count

    counts = count("chinese-llama-2-7b", load_recipe("ia3", {"data": "mix"})[1])
    # 32 layers with 4096 keys, 4096 values and 11008 inputs of down_proj.
    assert counts.trainable == 32 * (4096 + 4096 + 11008) == 614_400
    assert "614,400" in (leaderboards_dir() / "recipes" / "ia3.yaml").read_text()
    assert counts.per_module["model.layers.0.mlp.down_proj"] == 11008
    assert not any("up_proj" in name or "gate_proj" in name for name in counts.per_module)


def test_recipes_of_a_table_differ_in_the_adapter_alone():
    def training(name):
        return load_recipe(name, {"data": "mix"})[0]

    own = [
        name for name in recipes() if not name.startswith(("demo", "llama")) and name not in ("full", "lora-plus-r32")
    ]
    plus = replace(training("lora-r32"), b_learning_rate_ratio=16.0)
    assert training("lora-plus-r32") == plus
    assert len(own) >= 37 and all(
        training(name) == replace(training("teamlora-r32"), learning_rate=_RATES.get(name, 2e-4)) for name in own
    )
    llama = [name for name in recipes() if name.startswith("llama")]
    base = "meta-llama/Meta-Llama-3-8B"
    assert all(training(name) == replace(training("teamlora-r32"), base=base) for name in llama) and len(llama) == 2
    demo = [name for name in recipes() if name.startswith("demo") and name != "demo-lora-plus"]
    assert all(training(name) == training("demo-lora") for name in demo)


def test_the_ablation_has_four_switches_at_one_scale():
    rows = [load_recipe(f"ablation-{name}", {"data": "mix"})[1] for name in ("neither", "collaboration", "competition")]
    rows += [load_recipe("ablation-both", {"data": "mix"})[1]]
    assert [(row.collaboration, row.competition) for row in rows] == [
        *[(False, False), (True, False), (False, True), (True, True)]
    ]
    assert {(row.rank, row.experts, row.alpha, row.gate_sum) for row in rows} == {(32, 4, 64.0, 1)}


def test_teamlora_is_the_papers_formula_and_others_by_name():
    paper, scale, balanced, released = (
        load_recipe(f"teamlora-r32{name}", {"data": "mix"})[1]
        for name in ("", "-authors-scale", "-balanced", "-released")
    )
    assert paper.gate_sum == "free" and scale == replace(paper, gate_sum="experts")
    assert balanced == replace(paper, balance_weight=0.01)
    assert released == replace(scale, balance_weight=0.01, balance_form="released")
    assert load_recipe("ablation-both", {"data": "mix"})[1] == replace(paper, gate_sum=1)


def test_recipes_of_the_studies():
    def adapter(name):
        return load_recipe(name, {"data": "mix"})[1]

    for method in ("teamlora", "moelora"):
        for rank in (8, 16, 32, 64, 128, 256):
            assert adapter(f"rank-{rank}-{method}") == replace(adapter(f"{method}-r32"), rank=rank, alpha=2.0 * rank)
        attention = adapter(f"attention-{method}-r32")
        assert attention == replace(adapter(f"{method}-r32"), target_modules=("q_proj", "k_proj", "v_proj", "o_proj"))
        assert adapter(f"all-linear-{method}-r32") == replace(adapter(f"{method}-r32"), target_modules="all-linear")
        assert adapter(f"llama-3-8b-{method}") == adapter(f"{method}-r32")


@pytest.mark.parametrize("name", ["teamlora", "teamlora-normalised", "teamlora-released", "moelora", "hydralora"])
def test_demo_recipes_are_those_of_the_committed_rows(name):
    import json

    from cme.adapters import settings_to_mapping
    from cme.paths import leaderboards_dir

    row = json.loads((leaderboards_dir() / "demo" / "entries" / f"{name}.json").read_text())
    assert settings_to_mapping(load_recipe(f"demo-{name}", {"data": "mix"})[1]) == row["settings"]


def test_one_name_of_the_sum_of_gates_takes_the_place_of_the_other(tmp_path):
    assert load_recipe("demo-teamlora", {"data": "mix", "gate_sum": 1})[1].gate_scale is None
    assert load_recipe("teamlora-r32", {"data": "mix", "gate_scale": 0.5})[1].gate_sum is None
    (tmp_path / "_all.yaml").write_text("training: {data: here}\nadapter: {method: teamlora, gate_scale: 2.0}\n")
    (tmp_path / "mine.yaml").write_text("include: _all.yaml\nadapter: {gate_sum: experts}\n")
    assert load_recipe(tmp_path / "mine.yaml")[1].gate_sum == "experts"


def test_demo_recipes_have_equal_total_rank():
    for name in recipes():
        _, adapter = load_recipe(name, {"data": "mix"})
        if name.startswith("demo"):
            assert adapter.method == "peft" or METHODS[adapter.method].total_rank(adapter) == 32


def test_an_included_file_lies_under_the_recipe(tmp_path):
    (tmp_path / "_all.yaml").write_text("training: {data: here, steps: 5, seed: 1}\nadapter: {method: lora, rank: 2}\n")
    (tmp_path / "mine.yaml").write_text("include: _all.yaml\ntraining: {seed: 2}\n")
    training, adapter = load_recipe(tmp_path / "mine.yaml")
    assert (training.data, training.steps, training.seed, adapter.rank) == ("here", 5, 2, 2)
    (tmp_path / "mine.yaml").write_text("include: _none.yaml\n")
    (tmp_path / "long.yaml").write_text(f"include: {'a' * 300}\n")
    with pytest.raises(UsageError, match="is not another file in the same folder"):
        load_recipe(tmp_path / "long.yaml")
    with pytest.raises(UsageError, match=r"include: '_none\.yaml' is not another file in the same folder"):
        load_recipe(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text("include: mine.yaml\n")
    with pytest.raises(UsageError, match="cannot have an include of its own"):
        load_recipe(tmp_path / "mine.yaml")


def test_a_method_without_settings_takes_only_the_training_section():
    training, adapter = load_recipe("demo-teamlora", {"data": "mix", "method": "full"})
    assert adapter.method == "full" and training == load_recipe("demo-lora", {"data": "mix"})[0]


def test_no_name_is_in_both_sections():
    assert not {field.name for field in fields(TrainSettings)} & {field.name for field in fields(AdapterSettings)}


def test_settings_are_read_without_torch():
    program = (
        "import sys, cme.training; cme.training.recipes(); print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
