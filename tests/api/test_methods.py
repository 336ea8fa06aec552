"""What ``cme ls methods`` and `cme.list_methods` report about each method."""

import json

from typer.testing import CliRunner

import cme
from cme.adapters import METHODS
from cme.cli.main import app
from cme.cli.tables import show_records


def test_every_method_of_cme_has_all_facts():
    rows = {row["method"]: row for row in cme.list_methods()}
    for name, method in METHODS.items():
        if method.package.startswith("cme.adapters"):
            assert all(rows[name][key] for key in ("source", "learned", "merges", "vLLM", "authors' code")), name
    assert rows["lora"]["vLLM"] == "as LoRA" and "export-lora" in rows["moslora"]["vLLM"]
    assert rows["flylora"]["learned"] == "B"


def test_what_is_reported_about_merging_and_export_is_what_the_methods_do():
    """Methods with gate weights per token refuse to merge, and cme export-lora takes all of them."""
    from cme.adapters.registration import register_all
    from cme.adapters.routed.model import RoutedModel

    register_all()
    from peft import PeftType
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    for row in cme.list_methods():
        if row["method"] not in ("peft", "full"):
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
