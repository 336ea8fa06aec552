"""What of a recipe's adapter remains if the method, or PEFT's configuration, is given beside it."""

import warnings

import pytest

from cme.api.training_settings import settings_of
from cme.errors import CMEWarning
from cme.training import load_recipe

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def adapter(recipe, **values):
    """The adapter's settings that `cme.train` has with these arguments."""
    return settings_of({"recipe": recipe, "data": "mix", "lr": None, "peft_config": None} | values)[1]


@pytest.fixture
def config(tmp_path):
    def write(text):
        (tmp_path / "config.yaml").write_text(text)
        return tmp_path / "config.yaml"

    return write


@pytest.mark.filterwarnings("ignore::cme.errors.CMEWarning")
def test_another_method_of_peft_keeps_the_layers_of_the_recipe(config):
    dora = "peft_type: LORA\nuse_dora: true\nr: 4\n"
    assert adapter("attention-lora-r128", peft_config=config(dora)).target_modules == ATTENTION
    by_name = adapter("attention-lora-r128", method="peft", options={"peft_type": "LORA", "r": 4})
    assert (by_name.method, by_name.target_modules) == ("peft", ATTENTION)
    assert adapter("all-linear-lora-r128", peft_config=config(dora)).target_modules == "all-linear"
    named = config(dora + "target_modules: [up_proj]\n")
    assert adapter("attention-lora-r128", peft_config=named).target_modules == ("up_proj",)
    assert adapter("attention-lora-r128", peft_config=named, target_modules=["q_proj"]).target_modules == ("q_proj",)


@pytest.mark.parametrize(
    "options", [{"peft_type": "LN_TUNING"}, {"peft_type": "LORA", "target_parameters": ["mlp.experts.down_proj"]}]
)
def test_a_configuration_that_determines_its_layers_does_not_get_those_of_the_recipe(options):
    with pytest.warns(
        CMEWarning, match=r"settings are not used: rank, target_modules\. The method peft has fields of its own"
    ):
        assert adapter("attention-lora-r128", method="peft", options=options).target_modules is None


def test_settings_that_a_change_of_the_method_drops_are_listed(config):
    with pytest.warns(CMEWarning, match="^recipe attention-lora-r128: these adapter settings are not used: rank. "):
        adapter("attention-lora-r128", method="peft", options={"peft_type": "IA3"})
    with pytest.warns(CMEWarning, match="^recipe adalora-r128: these adapter settings are not used: rank, options. "):
        adapter("adalora-r128", method="peft", options={"peft_type": "IA3"})
    with warnings.catch_warnings():
        warnings.simplefilter("error", CMEWarning)
        adapter("attention-lora-r128", peft_config=config("peft_type: LORA\nr: 4\n"))
        adapter("attention-lora-r128", method="full")


def test_a_configuration_replaces_the_options_of_the_recipe(config):
    plain = config("peft_type: LORA\nr: 16\n")
    assert adapter("pissa-r32", peft_config=plain).options == {"peft_type": "LORA", "r": 16}
    assert adapter("pissa-r32", peft_config=plain, options={"r": 8}).options == {"peft_type": "LORA", "r": 8}
    assert adapter("pissa-r32", options={"r": 8}).options["init_lora_weights"] == "pissa", "--set adds to the recipe"


def test_a_configuration_of_another_type_replaces_that_of_the_recipe(config):
    settings = load_recipe("ia3", {"data": "mix"})[1]
    changed = adapter("ia3", peft_config=config("peft_type: LORA\nr: 2\n"))
    assert changed.options == {"peft_type": "LORA", "r": 2} and changed.target_modules == settings.target_modules
    with pytest.warns(CMEWarning, match="target_modules"):
        assert adapter("ia3", peft_config=config("peft_type: LN_TUNING\n")).target_modules is None
