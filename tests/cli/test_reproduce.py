"""From a training to a row, and from the row to the same training again: all of it really run, on a tiny base."""

import json
import shutil

import pytest

from cme.errors import CMEWarning
from tests.sandbox.isolations import sandbox
from tests.training.conftest import base, mix  # noqa: F401 (fixtures)


@pytest.fixture(scope="module")
def line(base, mix, tmp_path_factory):  # noqa: F811 (the fixtures)
    """A board with a base and a LoRA row, both trained and evaluated here; the commands' folder."""
    from typer.testing import CliRunner

    from cme.cli.main import app

    root = tmp_path_factory.mktemp("line")

    def cme(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result

    scored = ("--base", base, "--source", "mini", "--datasets", "qqp,rte", "--tier", "quick", "--threads", 1)
    trained = ("--base", base, "--data", mix, "--steps", 4, "--batch-size", 2, "--max-length", 256, "--lr", 5e-3)
    cme("train", "--method", "lora", "--rank", 4, *trained, "--dtype", "float32", "--threads", 1, "--out", root / "run")
    cme("eval", *scored, "--adapter", root / "run", "--out", root / "result", "--name", "lora")
    cme("eval", *scored, "--out", root / "base", "--name", "base")
    board = ("--entries", root / "board" / "entries")
    cme("submit", root / "base", *board)
    cme("submit", root / "result", "--run", root / "run", *board)
    return root


def reproduce(cme, line, row, out, *more):
    return cme("reproduce", row, "--entries", line / "board" / "entries", "--out", out, *more)


def test_the_same_seed_gives_the_same_row(cme, line, mix, tmp_path):  # noqa: F811
    done = reproduce(cme, line, "lora", tmp_path / "again", "--data", mix, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["changed"] == 0 and found["same_adapter"] is True and found["samples"] == 128
    assert found["verdict"].startswith("bitwise identical") and found["difference"] == 0
    written = json.loads((tmp_path / "again" / "reproduction.json").read_text())
    assert (written["kind"], written["average"]) == ("reproduction", found["average"])
    twice = reproduce(cme, line, "lora", tmp_path / "again", "--data", mix)
    assert twice.exit_code == 2 and "finished output of this command" in twice.stderr


def test_it_goes_on_where_it_stopped(cme, line, mix, tmp_path, monkeypatch):  # noqa: F811
    """Stopped after the training, the same command trains nothing again."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cme.evaluation.run.evaluate", stop)
        assert reproduce(cme, line, "lora", tmp_path / "again", "--data", mix).exit_code == 130
    monkeypatch.setattr("cme.training.run.train", stop)
    done = reproduce(cme, line, "lora", tmp_path / "again", "--data", mix)
    assert done.exit_code == 0 and "bitwise identical" in done.stderr


def test_another_seed_is_compared_with_the_row(cme, line, mix, tmp_path):  # noqa: F811
    done = reproduce(cme, line, "lora", tmp_path / "again", "--data", mix, "--seed", 3)
    assert "reproduced, seed 3" in done.stdout and "The row has one seed" in done.stderr
    found = json.loads((tmp_path / "again" / "reproduction.json").read_text())
    assert found["seed"] == 3 and found["changed"] is None and found["low"] <= found["difference"] <= found["high"]
    assert done.exit_code == (0 if found["inside"] else 1)


def test_a_base_is_evaluated_again(cme, line, tmp_path):
    done = reproduce(cme, line, "base", tmp_path / "again")
    assert done.exit_code == 0 and "bitwise identical" in done.stderr, done.output
    assert not (tmp_path / "again" / "run").exists()
    # Unfinished work of earlier versions continues, because the settings are stored under their first names.
    stored = json.loads((tmp_path / "again" / ".cme.json").read_text())["settings"]["evaluation"]
    assert stored["wording"] == 0 and not {"prompt_variant", "ids", "run_code"} & set(stored)


def test_a_row_that_used_training_rows_is_refused_on_another_source_before_any_work(cme, line, tmp_path):
    scored = ("--source", "mini", "--datasets", "qqp,rte", "--tier", "quick")
    assert cme("eval", *scored, "--baseline", "majority", "--out", tmp_path / "result").exit_code == 0
    assert cme("submit", tmp_path / "result", "--entries", tmp_path / "entries").exit_code == 0
    again = ("reproduce", "majority", "--entries", tmp_path / "entries", "--out", tmp_path / "again")
    done = cme(*again, "--source", "mini:graded")
    assert done.exit_code == 2 and "Give --source mini=DIR if mini:graded has the same rows." in done.stderr
    assert not (tmp_path / "again").exists()
    assert cme(*again).exit_code == 0


def test_a_row_with_programs_runs_them_only_if_that_is_allowed(cme, tiny_base, tmp_path):
    sandbox()
    scored = ("--base", tiny_base, "--source", "mini", "--datasets", "mbpp", "--tier", "smoke", "--threads", 1)
    assert cme("eval", *scored, "--run-code", "--out", tmp_path / "result", "--name", "base").exit_code == 0
    assert cme("submit", tmp_path / "result", "--entries", tmp_path / "board" / "entries").exit_code == 0
    without = reproduce(cme, tmp_path, "base", tmp_path / "a")
    assert without.exit_code == 2 and "has scores of mbpp" in without.stderr and "--run-code" in without.stderr
    assert not (tmp_path / "a").exists()
    done = reproduce(cme, tmp_path, "base", tmp_path / "b", "--run-code")
    assert done.exit_code == 0 and "bitwise identical" in done.stderr, done.output


def test_another_mix_or_base_is_refused(cme, line, mix, tiny_base, tmp_path):  # noqa: F811
    without = reproduce(cme, line, "lora", tmp_path / "a")
    assert without.exit_code == 2 and "Build it with: cme build-data --source mini" in without.stderr
    other = tmp_path / "mix"
    shutil.copytree(mix, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"fingerprint": "0" * 64}))
    done = reproduce(cme, line, "lora", tmp_path / "b", "--data", other)
    assert done.exit_code == 2 and "is the mix 000000000000" in done.stderr and "cme build-data" in done.stderr
    done = reproduce(cme, line, "lora", tmp_path / "c", "--data", mix, "--base", tiny_base)
    assert done.exit_code == 2 and "Give that base" in done.stderr
    assert not any((tmp_path / name).exists() for name in "abc")


def test_a_row_that_is_not_there(cme, line, tmp_path):
    assert reproduce(cme, line, "nothing", tmp_path / "x").exit_code == 2
    assert reproduce(cme, line, "../entries/lora", tmp_path / "x").exit_code == 2


def test_a_full_fine_tuning_is_trained_again(cme, base, mix, line, tmp_path):  # noqa: F811
    """Its weights are its own base; it stands in the board of the base that it started from."""
    trained = ("--base", base, "--data", mix, "--steps", 4, "--batch-size", 2, "--max-length", 256, "--lr", 5e-3)
    scored = ("--source", "mini", "--datasets", "qqp,rte", "--tier", "quick", "--threads", 1)
    board = ("--entries", tmp_path / "board" / "entries")
    for command in (
        ("train", "--method", "full", *trained, "--dtype", "float32", "--threads", 1, "--out", tmp_path / "run"),
        ("eval", "--base", tmp_path / "run", *scored, "--out", tmp_path / "result", "--name", "full"),
        ("submit", tmp_path / "result", "--run", tmp_path / "run", *board),
        ("submit", line / "base", *board),
        ("leaderboard", "--verify", *board, "--out", tmp_path / "board"),
    ):
        done = cme(*command)
        assert done.exit_code == 0, done.output
    again = ("--entries", tmp_path / "board" / "entries", "--data", mix, "--out", tmp_path / "again", "--json")
    done = cme("reproduce", "full", *again)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["changed"] == 0


def test_an_unknown_row_is_named_with_the_nearest(cme, line, tmp_path):
    done = reproduce(cme, line, "loro", tmp_path / "again")
    assert done.exit_code == 2 and "unknown row 'loro'. Did you mean 'lora'? Known: base, lora." in done.stderr
    assert not (tmp_path / "again").exists()


def test_a_row_is_evaluated_again_as_it_was(line):
    """With the row's engine and token budget, and the batch size of lm-eval's own code."""
    from cme.api.reproduction import _evaluation
    from cme.leaderboard import load_entries

    row = load_entries(line / "board" / "entries")[0]

    def again(**recorded):
        run = row.runs[0]
        evaluation = type(run.provenance.evaluation)(**run.provenance.evaluation.plain() | recorded)
        provenance = type(run.provenance)(**run.provenance.plain() | {"evaluation": evaluation.plain()})
        entry = row.replace(runs=(run.replace(provenance=provenance),))
        settings = _evaluation(entry, row.base, row.source, None, None, None)
        return settings.engine, settings.token_budget, settings.batch_size

    assert again() == ("prefix", None, None)
    assert again(token_budget=256) == ("prefix", 256, None)
    assert again(engine="hf", batch_size=3) == ("hf", None, 3)


def test_other_tokenizer_files_are_pointed_out(cme, line, base, tmp_path):  # noqa: F811
    other = tmp_path / "base"
    shutil.copytree(base, other)
    config = json.loads((other / "tokenizer_config.json").read_text())
    (other / "tokenizer_config.json").write_text(json.dumps(config | {"padding_side": "right", "note": "changed"}))
    with pytest.warns(CMEWarning, match="tokenizer files of .* are not those of 'base'"):
        reproduce(cme, line, "base", tmp_path / "again", "--base", other)


def test_a_board_is_listed_and_its_rows_are_run(cme, line, mix, tmp_path):  # noqa: F811
    done = cme("reproduce", line / "board")
    assert done.exit_code == 0, done.output
    assert "cme train --method lora --rank 4" in done.stdout and "--steps 4" in done.stdout
    assert "cme eval --base" in done.stdout and "Run one row again with: cme reproduce" in done.stderr
    steps = {step["name"]: step for step in json.loads(cme("reproduce", line / "board", "--json").stdout)}
    assert list(steps) == [
        "mix",
        "results/base",
        "entries/base",
        "runs/lora",
        "results/lora",
        "entries/lora",
        "table",
    ]
    again = cme("reproduce", line / "board", "base", "--out", tmp_path / "again")
    assert again.exit_code == 0 and "bitwise identical" in again.stderr, again.output


def test_what_does_not_fit_together(cme, line, tmp_path):
    for arguments, problem in (
        ((line / "board", "base"), "--out is missing"),
        (("base",), "--out is missing"),
        (
            (line / "board", "base", "--entries", "x", "--out", tmp_path / "x"),
            "--entries cannot be combined with a board",
        ),
        ((line / "board", "bse", "--out", tmp_path / "x"), "unknown row 'bse'. Did you mean 'base'?"),
    ):
        done = cme("reproduce", *arguments)
        assert done.exit_code == 2 and problem in done.stderr, done.output
