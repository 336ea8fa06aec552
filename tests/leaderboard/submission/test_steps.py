"""The steps of a board: for every committed number one command, which the command line reads as the recorded settings."""

import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cme
from cme.adapters.read_settings import settings_from as adapter_from
from cme.api.training_settings import settings_of
from cme.cli.main import app
from cme.leaderboard.entries.board import load_entries
from cme.leaderboard.submission.expert_commands import export_command, not_in_analysis, not_in_export
from cme.leaderboard.submission.reproduce import build_command
from cme.leaderboard.submission.steps import board_steps, entry_steps, source_argument
from cme.records import AdapterRecord, Entry, LossChange, PlainLora, Recipe, Retention, RouterWorth
from cme.records.retention import Drift
from cme.training.recipe import load_recipe
from cme.training.settings import settings_from as training_from
from tests.leaderboard.analyses import analysed_row

DEMO = Path(cme.__file__).parents[1] / "leaderboards/demo"


@pytest.fixture(scope="module")
def entries():
    return {entry.name: entry for entry in load_entries(DEMO / "entries")}


@pytest.fixture(scope="module")
def steps():
    return {step.name: step for step in cme.board_steps(DEMO)}


def test_a_board_with_the_ids_of_its_mix_can_take_the_mix_from_the_hub(steps, tmp_path, monkeypatch):
    assert "mix-from-hub" not in steps
    shutil.copytree(DEMO / "entries", tmp_path / "entries")
    (tmp_path / "mix-ids.parquet").touch()
    for folder in (tmp_path, tmp_path / "entries"):
        made = {step.name: step for step in cme.board_steps(folder)}
        (out,), given = call(made["mix-from-hub"].command, monkeypatch, "build_mix")
        assert (str(out), given["source"], str(given["ids"])) == ("mix-from-hub", "hub", "mix-ids.parquet")


class CalledError(Exception):
    """Stops a command when it calls the API."""


def call(command, monkeypatch, function):
    """The arguments with which a command line calls a function of the API."""
    calls = []

    def noted(*args, **kwargs):
        calls.append((args, kwargs))
        raise CalledError

    monkeypatch.setattr(cme, function, noted)
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert isinstance(done.exception, CalledError), done.output
    return calls[0]


def test_every_number_of_every_row_has_a_step(entries, steps):
    for entry in entries.values():
        own = [step for step in steps.values() if step.row == entry.name]
        text = "\n".join(step.numbers for step in own)
        for run in entry.runs:
            assert f"average {run.scores.average:.2f}" in text
        for variant in entry.prompt_variants:
            assert f"prompt variant {variant.prompt_variant}: average {variant.average:.2f}" in text
        assert sum(name.startswith("runs/") for name in (step.name for step in own)) == sum(
            run.seed is not None for run in entry.runs
        )
        assert (f"grid/{entry.name}" in steps) == (entry.lr_grid is not None)
    assert [name for name in steps if name.startswith("mix")] == ["mix"], "all rows share one mix"
    assert len([name for name in steps if name.startswith("costs/")]) == 2
    assert list(steps)[-1] == "table"


@pytest.mark.parametrize("name", ["adalora", "hydralora", "lora", "moelora", "moslora", "teamlora"])
def test_training_commands_have_the_recorded_settings(name, entries, steps, monkeypatch):
    entry = entries[name]
    for run in entry.runs:
        _, given = call(steps[f"runs/{name}-{run.seed}"].command, monkeypatch, "train")
        given = {key: value for key, value in given.items() if value is not None}
        given["learning_rate"] = given.pop("lr")
        training, adapter = load_recipe(None, given)
        recorded = {
            **entry.recipe.plain(), "base": entry.base, "data": "mix", "seed": run.seed,
            "threads": run.provenance.training.threads,
        }  # fmt: skip
        assert training == training_from(recorded)
        assert adapter == adapter_from(entry.settings.plain())
    (out, rates), _ = call(steps[f"grid/{name}"].command, monkeypatch, "train_grid")
    assert out == Path(f"grid/{name}")
    assert [float(rate) for rate in rates.split(",")] == [item.learning_rate for item in entry.lr_grid.runs]


def test_training_commands_have_settings_that_no_row_of_the_board_has(entries, monkeypatch):
    entry = entries["lora"]
    entry = entry.replace(recipe=Recipe(**entry.recipe.plain() | {"b_learning_rate_ratio": 16.0, "max_grad_norm": 0.5}))
    made = {step.name: step for step in entry_steps(entry, "mix")}
    for name, function in (("runs/lora-0", "train"), ("grid/lora", "train_grid")):
        _, given = call(made[name].command, monkeypatch, function)
        assert (given["b_learning_rate_ratio"], given["max_grad_norm"]) == (16, 0.5)


def grid_call(entry, monkeypatch):
    """The step of a row's grid, and the settings that the command line and the API make of its command."""
    step = next(step for step in entry_steps(entry, "mix") if step.name.startswith("grid/"))
    (_, rates), given = call(step.command, monkeypatch, "train_grid")
    return step, [float(rate) for rate in rates.split(",")], given


@pytest.fixture(scope="module")
def sample():
    return {entry.name: entry for entry in load_entries(DEMO.parent / "sample" / "entries")}


def test_the_command_of_a_shorter_grid_has_its_steps(sample, entries, monkeypatch):
    for name in ("lora", "teamlora", "lora-tuned"):
        step, rates, given = grid_call(sample[name], monkeypatch)
        assert given["steps"] == sample[name].lr_grid.steps == 40 and rates == [2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3]
        assert "does not record the seed of the grid" in step.remark and given["seed"] == 0
    _, given = call(
        next(s.command for s in entry_steps(sample["lora"], "mix") if s.name == "runs/lora-1"), monkeypatch, "train"
    )
    assert given["steps"] == sample["lora"].recipe.steps == 150
    epochs = entries["lora"].replace(recipe=Recipe(**entries["lora"].recipe.plain() | {"epochs": 0.5, "steps": None}))
    _, _, given = grid_call(epochs, monkeypatch)
    assert (given["epochs"], given["steps"]) == (0.5, None), "the grid has as many steps as the rows, so as many epochs"
    _, _, given = grid_call(epochs.replace(lr_grid=epochs.lr_grid.replace(steps=50)), monkeypatch)
    assert (given["epochs"], given["steps"]) == (None, 50)


def test_the_command_of_a_tuned_row_is_one_that_cme_train_takes(sample, monkeypatch, tmp_path):
    """cme train refuses an alpha beside a rank that the grid varies."""
    _, _, given = grid_call(sample["lora-tuned"], monkeypatch)
    assert "alpha" not in given and given["tune"] == {"rank": [8, 16, 32, 64]}
    made = settings_of({**given, "data": tmp_path, "peft_config": None})[1]
    assert made.lora_alpha / made.rank == 2 == sample["lora-tuned"].settings.alpha / sample["lora-tuned"].settings.rank
    step, _, given = grid_call(changed(sample["lora-tuned"], alpha=16.0), monkeypatch)
    assert not {"alpha", "rank", "method"} & given.keys() and given["recipe"] == "RECIPE"
    text = step.remark.split("RECIPE stands for a file with '")[1].removesuffix("'.")
    (tmp_path / "recipe.yaml").write_text(text)
    made = settings_of({**given, "recipe": str(tmp_path / "recipe.yaml"), "data": tmp_path, "peft_config": None})[1]
    assert (made.method, made.lora_alpha / made.rank) == ("lora", 0.5)


def test_rates_are_exact(entries, monkeypatch):
    rate = 0.00012345678901
    grid = entries["lora"].lr_grid
    runs = (grid.runs[0].replace(learning_rate=rate), *grid.runs[1:])
    _, rates, _ = grid_call(entries["lora"].replace(lr_grid=grid.replace(runs=runs)), monkeypatch)
    assert rates[0] == rate


def test_a_grid_that_records_its_seed_is_repeated_with_it(entries, monkeypatch):
    step, _, given = grid_call(entries["lora"].replace(lr_grid=entries["lora"].lr_grid.replace(seed=7)), monkeypatch)
    assert given["seed"] == 7 and "does not record the seed" not in step.remark


def test_a_grid_of_layers_by_a_regular_expression_takes_them_from_a_recipe(entries, monkeypatch, tmp_path):
    step, _, given = grid_call(changed(entries["lora"], target_modules=r".*\.up_proj"), monkeypatch)
    (tmp_path / "recipe.yaml").write_text(step.remark.split("RECIPE stands for a file with '")[1].removesuffix("'."))
    made = settings_of({**given, "recipe": str(tmp_path / "recipe.yaml"), "data": tmp_path, "peft_config": None})[1]
    assert (made.method, made.target_modules, made.rank, made.lora_alpha) == ("lora", r".*\.up_proj", 32, 64)


def measured(entry, text):
    """The entry with the change of the loss on a text."""
    loss = LossChange(value=0.1, stderr=0.0, text=text, text_sha256="e" * 64, tokens=8, base=(1.0,), adapted=(1.1,))
    drift = Drift(value=0.1, stderr=0.0, tokens=8, texts=(0.1,), texts_sha256="d" * 64)
    kept = Retention(base_fingerprint="b" * 64, drift=drift, loss=loss, remark="")
    return entry.replace(runs=tuple(run.replace(retention=kept) for run in entry.runs)), kept


def test_what_the_entry_does_not_record_is_said(entries, monkeypatch):
    entry, kept = measured(entries["moelora"], "my text.txt")
    steps = {step.name: step for step in entry_steps(entry, "mix")}
    _, given = call(steps["results/moelora-0"].command, monkeypatch, "evaluate")
    assert str(given["retention_text"]) == "TEXT"
    assert steps["results/moelora-0"].remark == f"TEXT stands for the file 'my text.txt' with the SHA-256 {'e' * 64}."
    hub, _ = measured(entries["moelora"], "Salesforce/wikitext/wikitext-2-raw-v1/test@1")
    assert "--retention-text" not in next(s.command for s in entry_steps(hub, "mix") if s.name == "results/moelora-0")
    assert steps["analysis/moelora-0"].remark == "Entries do not record --subject-rows, on which the load depends."
    assert "--ridge, --steps, --lr, --batch-size, --seed" in steps["exports/moelora-0"].remark
    worth = entry.runs[0].router_worth
    plain = worth.exports[0].replace(how="mean", retention=kept)
    run = entry.runs[0].replace(router_worth=worth.replace(exports=(plain,)))
    assert not_in_export(run).startswith("TEXT stands for") and "--ridge" not in not_in_export(run)
    assert "--retention-text TEXT" in export_command(entry, run, "moelora-0", "mini", "mix", "x")
    assert not_in_analysis(run.replace(experts=run.experts.replace(load=None))) == ""


def test_evaluations_of_whole_models_and_of_programs_have_their_options(entries, monkeypatch):
    whole = entries["lora"].replace(method="full", settings=AdapterRecord(method="full"))
    command = next(step.command for step in entry_steps(whole, "mix") if step.name == "results/lora-0")
    assert call(command, monkeypatch, "evaluate")[1]["retention_base"] == whole.base
    entry = entries["lora"]
    scores = entry.scores.model_copy(
        update={"datasets": (entry.scores.datasets[0].model_copy(update={"dataset": "mbpp"}),)}
    )
    origin = entry.runs[0].provenance.evaluation.model_copy(update={"run_code": "unsandboxed"})
    provenance = entry.runs[0].provenance.model_copy(update={"evaluation": origin})
    entry = entry.model_copy(update={"scores": scores, "runs": (entry.runs[0].replace(provenance=provenance),)})
    command = next(step.command for step in entry_steps(entry, "mix") if " eval " in step.command)
    assert call(command, monkeypatch, "evaluate")[1]["run_code"] == "unsandboxed"


def test_the_list_of_steps_says_what_is_not_recorded():
    done = CliRunner().invoke(app, ["reproduce", str(DEMO)])
    lines = done.output.splitlines()
    at = next(index for index, line in enumerate(lines) if " --out grid/lora" in line)
    assert lines[at - 1].startswith("# The entry does not record the seed of the grid")


def test_evaluation_commands_have_the_recorded_settings(entries, steps, monkeypatch):
    for entry in entries.values():
        for step in (step for step in steps.values() if step.row == entry.name and step.name.startswith("results/")):
            args, given = call(step.command, monkeypatch, "evaluate")
            assert given["tier"] == entry.tier and given["source"] == entry.source
            if entry.base:
                assert (given["shots"], given["prompt_format"]) == (entry.shots, entry.prompt_format)
                assert given["dtype"] == entry.runs[0].provenance.evaluation.dtype
                assert (args[0] is not None) == bool(entry.settings)
            else:
                assert given["baseline"] == entry.method


def test_the_other_commands_are_read_by_the_command_line(entries, steps, monkeypatch):
    assert call(steps["mix"].command, monkeypatch, "build_mix")[1]["size"] == 4000
    for name in entries:
        _, given = call(steps[f"entries/{name}"].command, monkeypatch, "submit")
        assert given["name"] == name
    for name in steps:
        if name.startswith("costs/"):
            assert call(steps[name].command, monkeypatch, "bench_adapters")


def test_a_mirror_is_given_by_its_name():
    assert source_argument("cme-sample-1") == "cme-sample-1=DIR"
    assert source_argument("my data") == "DIR"
    assert [source_argument(name) for name in ("hub", "mini", "mini:graded,seed=3")] == [
        "hub",
        "mini",
        "mini:graded,seed=3",
    ]


def changed(entry: Entry, **settings):
    return entry.replace(settings=AdapterRecord(**{**entry.settings.plain(), **settings}))


def test_what_the_command_line_cannot_say_is_left_to_reproduce(entries):
    entry = changed(entries["lora"], target_modules=r".*\.up_proj")
    steps = {step.name: step for step in board_steps([entry], {"lora": build_command(entry)})}
    assert steps["runs/lora-1"].command == "cme reproduce . lora --seed 1 --data mix --out runs/lora-1"
    layers = changed(entries["lora"], target_modules=("up_proj", "q_proj"), options={"use_dora": True})
    (command,) = [s.command for s in board_steps([layers], {"lora": None}) if s.name == "runs/lora-1"]
    assert "--target-modules up_proj,q_proj --set use_dora=true" in command


def test_a_recorded_command_of_a_stranger_is_quoted(entries):
    ratios = entries["lora"].cost_ratios
    for text, expected in (
        (
            "cme bench adapters --methods lora --out x; rm -rf ~",
            "cme bench adapters --methods lora rm -rf '~' --out costs/lora",
        ),
        ("rm -rf /", "# the entry does not record a command of cme bench adapters"),
        ("cme bench 'adapters", "# the entry does not record a command of cme bench adapters"),
    ):
        entry = entries["lora"].replace(cost_ratios=ratios.model_copy(update={"command": text}))
        commands = [s.command for s in board_steps([entry], {"lora": None}) if s.name.startswith("costs/")]
        assert commands == [expected]


def test_rows_of_one_measurement_share_its_step(entries):
    """Rows may have recorded the output folder or not. Another measurement at the same total rank has a step of its own."""
    ratios = entries["lora"].cost_ratios
    texts = {
        "a": "cme bench adapters --methods base,lora --total-rank 8 --rounds 20 --out /work/costs/x",
        "b": "cme bench adapters --methods base,lora --total-rank 8 --rounds 20",
        "c": "cme bench adapters --methods base,lora --total-rank 8 --rounds 10 --out costs/x",
    }
    rows = [
        entries["lora"].model_copy(update={"name": name, "cost_ratios": ratios.model_copy(update={"command": text})})
        for name, text in texts.items()
    ]
    steps = {step.name: step.command for step in board_steps(rows, dict.fromkeys(texts))}
    assert {name: command for name, command in steps.items() if name.startswith("costs/")} == {
        "costs/rank-8": f"{texts['b']} --out costs/rank-8",
        "costs/rank-8-2": "cme bench adapters --methods base,lora --total-rank 8 --rounds 10 --out costs/rank-8-2",
    }
    folders = [steps[f"entries/{name}"].split("--bench ")[1].split()[0] for name in texts]
    assert folders == ["costs/rank-8", "costs/rank-8", "costs/rank-8-2"]


def test_the_command_of_datasets_with_programs_runs_them(entries):
    entry = entries["lora"]
    scored = [entry.scores.datasets[0].model_copy(update={"dataset": name}) for name in ("gsm8k", "mbpp")]
    for count, runs in ((1, False), (2, True)):
        scores = entry.scores.model_copy(update={"datasets": tuple(scored[:count])})
        steps = entry_steps(entry.model_copy(update={"scores": scores}), "mix")
        commands = [step.command for step in steps if " eval " in step.command]
        assert commands and all(("--run-code" in shlex.split(command)) == runs for command in commands)


def test_what_is_stated_about_experts_has_steps(workshop, monkeypatch):
    names = ("qqp", "nq_open")
    workshop.reference("base", 0.4, names=names)
    entry = analysed_row(workshop, "team", "teamlora", 0.8, seeds=(0, 1), names=names)
    plain = PlainLora(how="fit", rank=16, difference={}, retention=None)
    exports = (plain.replace(how="mean", rank=32), plain)
    worth = RouterWorth(exports=exports, worth={}, best={}, scores_sha256="a" * 64)
    entry = entry.replace(runs=(entry.runs[0].replace(router_worth=worth), entry.runs[1]))
    steps = {step.name: step for step in entry_steps(entry, "mix")}
    (run, out), given = call(steps["analysis/team-1"].command, monkeypatch, "analyse")
    assert (run, out) == ("runs/team-1", Path("analysis/team-1"))
    assert (given["parts"], given["datasets"], given["tier"]) == (
        "load,redundancy,shapley,similarity",
        "qqp,nq_open",
        "quick",
    )
    (run, out), given = call(steps["exports/team-0"].command, monkeypatch, "export_lora")
    assert (run, given["how"], given["rank"], given["data"], given["measure"]) == (
        "runs/team-0", "mean,fit", 16, Path("mix"), True,
    )  # fmt: skip
    assert "exports/team-1" not in steps
    _, given = call(steps["entries/team"].command, monkeypatch, "submit")
    assert given["analysis"] == [Path("analysis/team-0"), Path("analysis/team-1")]
    assert given["export"] == [Path("exports/team-0")]
