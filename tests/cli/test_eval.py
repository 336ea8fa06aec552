"""What ``cme eval`` takes, and what it prints."""

import json

import pytest

from tests.evaluation.runs import save_adapter

ROWS = ("--source", "mini", "--tier", "smoke", "--datasets", "qqp", "--threads", "1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--model", "m", "--adapter", "a"), "model cannot be combined with base, adapter or baseline"),
        (("--model", "m", "--base", "b"), "model cannot be combined with base, adapter or baseline"),
        (("--adapter", "a", "--adapter", "base", "--name", "x"), "--name applies to one adapter, but 2 are given"),
        (
            ("--adapter", "a", "--adapter", "base", "--baseline", "majority"),
            "--baseline applies to one adapter, but 2 are given",
        ),
        (("--adapter", "x/a", "--adapter", "y/a"), "several adapters have the name 'a'"),
        (("--adapter", "a", "--devices", "0,1"), "fewer adapters (1) than --devices (2)"),
        (("--adapter", "a", "--adapter", "b", "--devices", ","), "devices: the list is empty"),
        (
            ("--adapter", "a", "--adapter", "b", "--devices", "0", "--device", "cpu"),
            "device and devices cannot be combined",
        ),
        (("--token-budget", "0"), "token_budget: must be at least 1, found 0"),
        (
            ("--baseline", "majority", "--base", "b"),
            "the baseline majority answers without a model, so it does not use a base",
        ),
        (("--baseline", "majority", "--shots", "4"), "so it does not use --shots. Leave it out."),
        (
            ("--baseline", "majority", "--dtype", "bfloat16", "--format", "chat", "--engine", "hf"),
            "so it does not use --format, --dtype, --engine. Leave them out.",
        ),
        (("--baseline", "majority", "--batch-size", "4"), "so it does not use --batch-size"),
        (("--baseline", "majority", "--token-budget", "64"), "so it does not use --token-budget"),
        (("--baseline", "majority", "--run-code"), "so it does not use --run-code. Leave it out."),
        (
            ("--engine", "hf", "--token-budget", "64"),
            "--token-budget applies to --engine prefix only, but the engine is 'hf'. Leave it out, or set --batch-size.",
        ),
        (
            ("--run-code",),
            "--run-code applies to datasets whose programs must run (humaneval and mbpp), but none of them is chosen. Leave it "
            "out, or choose one with --datasets.",
        ),
    ],
)
def test_what_does_not_go_together(cme, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    outcome = cme("eval", "--out", "x", *ROWS, *arguments)
    assert outcome.exit_code == 2, outcome.stderr
    assert says in " ".join(outcome.stderr.split())
    assert not (tmp_path / "x").exists()


def test_several_adapters_print_a_table_each(cme, tiny_base, tmp_path):
    adapter = save_adapter(tiny_base, tmp_path / "one", 0.3)
    command = ("eval", "--base", tiny_base, *ROWS, "--adapter", adapter, "--adapter", "base", "--out", tmp_path / "x")
    outcome = cme(*command)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.count("CME average") == 2 and "\none\n" in outcome.stdout
    again = json.loads(cme(*command, "--json").stdout)
    assert [row["name"] for row in again] == ["one", tiny_base.name]


def test_a_merged_model_is_evaluated_by_itself(cme, tiny_base, tmp_path):
    outcome = cme("eval", "--model", tiny_base, *ROWS, "--out", tmp_path / "x", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    found = json.loads(outcome.stdout)
    assert (found["base"], found["adapter"], found["name"]) == (str(tiny_base), None, tiny_base.name)


def test_retention_is_printed_and_stored(cme, tiny_base, tmp_path):
    adapter = save_adapter(tiny_base, tmp_path / "adapter", 0.3)
    text = tmp_path / "mill.txt"
    text.write_text("The old mill by the river was built when the town had no bridge.\n" * 100)
    command = ("eval", "--base", tiny_base, "--adapter", adapter, "--retention", *ROWS)
    outcome = cme(*command, "--retention-text", text, "--out", tmp_path / "out")
    assert outcome.exit_code == 0, outcome.stderr
    retention = json.loads((tmp_path / "out" / "result.json").read_text())["retention"]
    drift, loss = retention["drift"], retention["loss"]
    assert f"Drift from the base: {drift['value']:.4f} ± {drift['stderr']:.4f} nats per token" in outcome.stdout
    assert f"Change of the loss on mill.txt: {loss['value']:+.4f} ± {loss['stderr']:.4f}" in outcome.stdout
    without = cme(*command, "--out", tmp_path / "without")
    assert "Change of the loss: – (no unrelated text: the source mini has none" in without.stdout
    refused = cme("eval", "--base", tiny_base, "--retention", *ROWS, "--out", tmp_path / "base")
    assert refused.exit_code == 2 and "retention compares an adapter with its base" in " ".join(refused.stderr.split())
