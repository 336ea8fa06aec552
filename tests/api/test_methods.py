"""What ``cme ls methods`` and `cme.list_methods` report about each method."""

import json

from typer.testing import CliRunner

import cme
from cme.adapters import METHODS
from cme.cli.main import app
from cme.cli.tables import show_records
from cme.records.method import method_label
from cme.training import load_recipe, recipes

COLUMNS = ["method", "what it is", "source", "learned", "merges", "vLLM", "authors' code", "compared in", "recipe"]

PEFTS_OWN = ("dora", "rslora", "pissa", "lora+", "miss", "hira", "oft", "vera", "ia3", "randlora")


def test_every_method_has_all_facts():
    rows = {row["method"]: row for row in cme.list_methods()}
    assert {*METHODS, *PEFTS_OWN} <= set(rows)
    for name, row in rows.items():
        assert list(row) == COLUMNS
        assert all(row[key] for key in COLUMNS if key != "recipe"), name
        own = name in PEFTS_OWN or METHODS.source(name) == METHODS.source("lora")
        assert not own or "not stated by its package" not in row.values(), name
    assert rows["lora"]["vLLM"] == "as LoRA" and "export-lora" in rows["moslora"]["vLLM"]
    assert rows["flylora"]["learned"] == "B"
    for name in ("teamlora", "comol", "smora", "full"):
        assert rows[name]["compared in"] == "none known to us"
    for name in ("teamlora", "hydralora", "moslora", "mola", "adamole", "comol", "smora", "flylora"):
        assert "@" in rows[name]["authors' code"], f"the commit of {name}'s code is missing"
    for name in ("comol", "smora", "flylora"):
        assert "et al." in rows[name]["source"]


def test_pefts_methods_name_a_recipe_of_that_method():
    rows = {row["method"]: row for row in cme.list_methods()}
    for name in PEFTS_OWN:
        training, adapter = load_recipe(rows[name]["recipe"], {"data": "mix"})
        label = method_label(adapter.method, adapter.options)
        assert label == name or (name == "lora+" and training.b_learning_rate_ratio and label == "lora")
    named = {row["recipe"] for row in rows.values() if row["recipe"]}
    of_peft = {name for name in recipes() if load_recipe(name, {"data": "mix"})[1].method == "peft"}
    assert {name for name in of_peft if not name.startswith("demo")} == named - {"lora-plus-r32"}, "a recipe has no row"


def test_what_is_reported_about_merging_and_export_is_what_the_methods_do():
    """Methods with gate weights per token refuse to merge, and cme export-lora takes all of them."""
    from cme.adapters.registration import register_all
    from cme.adapters.routed.model import RoutedModel

    register_all()
    from peft import PeftType
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    for row in cme.list_methods():
        if row["method"] in PEFTS_OWN:
            assert row["merges"] == "yes"
        elif row["method"] not in ("peft", "full"):
            tuner = PEFT_TYPE_TO_TUNER_MAPPING[PeftType[row["method"].upper()]]
            routed = issubclass(tuner, RoutedModel)
            assert row["merges"].startswith("no") == ("export-lora approximates" in row["vLLM"]) == routed


def test_the_command_prints_the_same_rows():
    listed = json.loads(CliRunner().invoke(app, ["ls", "methods", "--json"]).stdout)
    assert listed == cme.list_methods()
    text = CliRunner().invoke(app, ["ls", "methods"]).stdout
    assert "GCYZSL/MoLA" in text and "compared in" in text


def test_a_terminal_gets_one_block_per_method(capsys):
    show_records(["method", "learned", "vLLM"], [["lora", "A, B", "as LoRA"], ["full", "all", None]])
    assert capsys.readouterr().out.splitlines() == [
        "lora",
        "  learned: A, B",
        "  vLLM: as LoRA",
        "full",
        "  learned: all",
    ]
