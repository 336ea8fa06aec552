"""Every verb of the command line is a function of `cme`, with the same names and defaults."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import typer

import cme
from cme.cli.main import app

TWINS = {
    "analyse": ["analyse", "analyse_each"],
    "bench adapters": ["bench_adapters"],
    "board commands": ["board_commands"],
    "board plan": ["plan_board"],
    "board run": ["run_board"],
    "board status": ["board_status"],
    "board tables": ["board_tables"],
    "build-data": ["build_mix", "check_mix"],
    "compare": ["compare"],
    "doctor": ["doctor", "doctor_data"],
    "download": ["download"],
    "eval": ["evaluate", "evaluate_each"],
    "eval-images": ["evaluate_images"],
    "export-lora": ["export_lora"],
    "ids": ["write_ids"],
    "import-lm-eval": ["from_lm_eval"],
    "inspect": ["inspect_mix"],
    "leaderboard": ["render_board", "verify_board"],
    "lm-eval": ["run_lm_eval"],
    "ls": [
        "list_baselines",
        "list_datasets",
        "list_families",
        "list_methods",
        "list_recipes",
        "list_suites",
        "list_tiers",
    ],
    "params": ["count_parameters", "match_rank", "paper_parameters"],
    "plan": ["plan"],
    "push": ["push_mix"],
    "reproduce": ["reproduce", "board_steps"],
    "score": ["score", "explain_scores", "prompt_sensitivity", "subset_scores"],
    "show": ["show_examples", "show_samples", "confusion_table"],
    "submit": ["submit"],
    "tasks-path": ["tasks_path"],
    "train": ["train", "train_grid"],
    "verify": ["verify_mix"],
}
"""Verb → the functions that it calls."""

SPELLED = {
    "analyse": {"format": "prompt_format"},
    "bench adapters": {},
    "build-data": {"format": "layout", "i_have_the_rights": "have_rights"},
    "compare": {"format": "prompt_format"},
    "inspect": {"format": "prompt_format"},
    "eval": {"format": "prompt_format"},
    "export-lora": {"format": "prompt_format"},
    "leaderboard": {"format": "form"},
    "push": {"i_have_the_rights": "have_rights"},
    "show": {"format": "prompt_format", "id": "ids"},
    "train": {"format": "prompt_format", "set": "options"},
    "params": {"set": "options"},
}
"""Verb → option → argument, where Python has another name for it."""

FUNCTIONS_INSTEAD = {
    "build-data": {"check_only": "check_mix"},
    "params": {"paper": "paper_parameters"},
    "score": {"explain": "explain_scores", "prompt_variants": "prompt_sensitivity", "subsets": "subset_scores"},
    "show": {"confusion": "confusion_table"},
}
"""Options that say which function is called."""

CALLED = {
    "inspect_mix": {"mix"},
    "prompt_sensitivity": {"results"},
    "push_mix": {"mix"},
    "run_lm_eval": {"arguments"},
    "score": {"result"},
    "subset_scores": {"result"},
    "explain_scores": {"result"},
    "verify_board": {"entries"},
    "verify_mix": {"mix"},
}
"""Function → what the command takes by its place, under another name."""

ONLY_PRINTING = {"json", "markdown", "help"}

OTHER_DEFAULTS = {
    ("eval", "out"): "a temporary folder, which a command could not keep",
    ("eval", "adapter"): "one adapter, where the option may be given several times",
    ("build-data", "out"): "needed, but for check_mix, which has none",
    ("doctor", "source"): "doctor_data has what the command takes in its place",
    ("reproduce", "entries"): "a board's folder may stand before the row instead",
    ("reproduce", "out"): "needed, but for board_steps, which has none",
    ("show", "dataset"): "needed; the command says so itself",
    ("submit", "run"): "an option that may be given several times",
}
"""Where defaults differ, and why."""


def commands(group, before=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


VERBS = dict(commands(typer.main.get_command(app)))


def test_every_verb_has_its_functions():
    assert set(VERBS) == set(TWINS)
    called = [name for names in TWINS.values() for name in names]
    assert set(called) <= set(cme.__all__)


def test_every_function_belongs_to_a_verb():
    functions = {name for name in cme.__all__ if inspect.isfunction(getattr(cme, name))}
    without = functions - {name for names in TWINS.values() for name in names}
    assert without == {"load_board", "load_mix", "load_result"}, "reading needs no verb"


def options(verb: str) -> Iterator[tuple[str, Any]]:
    """(argument, option) for every option of a verb that says what is done."""
    for option in VERBS[verb].params:
        if option.param_type_name != "option":
            continue
        long = max(option.opts[:1], key=len).lstrip("-").replace("-", "_")
        if long not in ONLY_PRINTING and long not in FUNCTIONS_INSTEAD.get(verb, {}):
            yield SPELLED.get(verb, {}).get(long, long), option


@pytest.mark.parametrize("verb", sorted(TWINS))
def test_options_and_arguments_agree(verb):
    signatures = [inspect.signature(getattr(cme, name)).parameters for name in TWINS[verb]]
    for argument, option in options(verb):
        holders = [parameters[argument] for parameters in signatures if argument in parameters]
        assert holders, f"cme {verb} {option.opts[0]} has no argument {argument!r}"
        if (verb, argument) in OTHER_DEFAULTS:
            continue
        for parameter in holders:
            if parameter.default is inspect.Parameter.empty:
                continue  # It is what the function is about; the command has another function without it.
            default = option.default
            if callable(default):
                default = default()
            same = parameter.default == default or str(parameter.default) == str(default)
            assert same, f"cme {verb} {option.opts[0]}: {default!r}, and {argument}={parameter.default!r} in Python"


@pytest.mark.parametrize("verb", sorted(TWINS))
def test_arguments_and_options_agree(verb):
    """No function has an argument that the command line cannot give, but for objects in memory."""
    given = {argument for argument, _ in options(verb)}
    places = {item.name for item in VERBS[verb].params if item.param_type_name == "argument"}
    in_memory = {"model", "tokenizer"}
    for name in TWINS[verb]:
        for argument in inspect.signature(getattr(cme, name)).parameters:
            assert argument in given | places | in_memory | CALLED.get(name, set()), f"cme.{name}({argument}=…)"


def test_every_function_says_what_it_takes_and_shows_an_example():
    for name in cme.__all__:
        function = getattr(cme, name)
        if not inspect.isfunction(function):
            continue
        text = inspect.getdoc(function) or ""
        assert "Example:" in text and ">>>" in text, name
        for argument in inspect.signature(function).parameters:
            assert f"    {argument}: " in text, f"cme.{name}: {argument} is not described"
