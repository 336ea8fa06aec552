"""Outputs that are not the board's: they do not count, are named, and are never overwritten."""

import json
import re
import shutil
from dataclasses import fields
from hashlib import sha256

import pytest

import cme
from cme.bench.adapters.settings import BenchSettings
from cme.board.entry_match import OPTIONS, entry_problem
from cme.board.state import survey
from cme.board.wanted import text_of
from cme.errors import CMEError, UsageError
from cme.evaluation.retention.unrelated import read_text
from cme.mix.settings import BuildSettings
from cme.records.cost import without_out
from tests.board.fakes import make_board, run_fake


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("datasets", "[rte, mnli]", "datasets: none only there, mnli only on this board"),
        ("source", "mini:seed=3", "source: 'mini' there, 'mini:seed=3' on this board"),
        ("base", "smollm2-135m", "base: "),
        ("dtype", "float32", "dtype: 'bfloat16' there, 'float32' on this board"),
        ("mix", "{size: 70}", "size: 60 there, 70 on this board"),
    ],
)
def test_results_of_other_settings_are_not_taken_for_the_boards(tmp_path, key, value, message):
    board = make_board(tmp_path, dtype="bfloat16")
    run_fake(board)
    changed = make_board(tmp_path, **{"dtype": "bfloat16", key: value})
    now = survey(changed)
    assert {"entries/lora", "table"} <= now.needed
    with pytest.raises(UsageError) as caught:
        run_fake(changed)
    assert message in str(caught.value)


@pytest.mark.parametrize("before", [True, False], ids=["LoRA+ first", "LoRA first"])
def test_work_with_and_without_an_optional_setting_is_told_apart(tmp_path, before):
    """Records leave the ratio of LoRA+ out if it is not set."""
    plain, plus = ({"methods": f"{{lora: {{settings: {{{text}}}}}}}"} for text in ("", "b_learning_rate_ratio: 16"))
    run_fake(make_board(tmp_path, **(plus if before else plain)))
    now = survey(make_board(tmp_path, **(plain if before else plus)))
    there, here = ("16", "None") if before else ("None", "16")
    for name in ("grid/lora/lr-1e-03", "grid/lora", "runs/lora-1"):
        assert f"b_learning_rate_ratio: {there}" in now.states[name].problem.replace("16.0", "16"), name
        assert f"there, {here}" in now.states[name].problem.replace("16.0", "16"), name
    assert "entries/lora" in now.needed


def test_a_grid_whose_runs_would_log_at_other_steps_is_named_before_it_runs(tmp_path):
    run_fake(make_board(tmp_path))
    now = survey(make_board(tmp_path, training="{steps: 6, save_every: 2, logging_steps: 1}"))
    assert "logging_steps: 10 there, 1 on this board" in now.states["grid/lora/lr-1e-03"].problem


def test_runs_of_a_mix_that_was_replaced_are_not_taken_for_the_boards(tmp_path):
    board = make_board(tmp_path)
    run_fake(board)
    manifest = tmp_path / "work" / "mix" / "manifest.json"
    marker = tmp_path / "work" / "runs" / "lora-1" / ".cme.json"
    values = json.loads(marker.read_text())
    values["settings"]["mix_fingerprint"] = "a" * 64
    marker.write_text(json.dumps(values))
    manifest.write_text(json.dumps({"fingerprint": "a" * 64}))
    assert survey(board).states["runs/lora-1"].finished
    manifest.write_text(json.dumps({"fingerprint": "b" * 64, "rows": 1}))
    assert "mix: aaaaaaaaaaaa there, bbbbbbbbbbbb on this board" in survey(board).states["runs/lora-1"].problem


def test_baselines_that_cover_few_datasets_are_finished(tmp_path):
    board = make_board(tmp_path, datasets="[rte, squad_v2, tldr]", references="[majority, unanswerable, lead-1]")
    steps = survey(board).plan.steps
    for name, dataset in (("unanswerable", "squad_v2"), ("lead-1", "tldr")):
        assert (
            steps[f"results/{name}"].expects["datasets"] == steps[f"entries/{name}"].expects["datasets"] == (dataset,)
        )
    assert "rte" in steps["results/majority"].expects["datasets"]


def test_a_conflict_of_one_grid_does_not_blame_another(tmp_path):
    board = make_board(tmp_path)
    run_fake(board)
    marker = tmp_path / "work" / "grid" / "team" / "lr-1e-03" / ".cme.json"
    values = json.loads(marker.read_text())
    values["settings"]["rank"] = 8
    marker.write_text(json.dumps(values))
    states = survey(board).states
    assert states["grid/team"].problem.endswith("grid/team/lr-1e-03") and states["grid/lora"].problem is None


def test_an_entry_of_another_mix_is_written_again(tmp_path):
    board = make_board(tmp_path)
    run_fake(board)
    entry = tmp_path / "out" / "entries" / "lora.json"
    values = json.loads(entry.read_text())
    for origin, finished in (
        ({"size": 60, "datasets": None}, True),
        ({"size": 90}, False),
        ({"datasets": ["rte"]}, False),
    ):
        values["runs"][0]["provenance"] = {"training": {"mix": origin}}
        entry.write_text(json.dumps(values))
        assert survey(board).states["entries/lora"].finished == finished, origin


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ("{size: 60, mixing: temperature, temperature: 5}", "temperature: 2.0 there, 5.0 on this board"),
        ("{size: 60, mixing: temperature, licence: commercial}", r"uses: None there, \['commercial'\] on this board"),
        ("{size: 60}", "mixing: 'temperature' there, 'proportional' on this board"),
        ("{size: 60, mixing: temperature, prompt_variant_share: 0.25}", "paraphrase_share: 0.5 there, 0.25"),
        ("{size: 60, mixing: temperature, validation_share: 0.01}", "validation_share: 0.005 there, 0.01"),
        ("{mixing: temperature}", "size: 60 there, None on this board"),
    ],
)
def test_an_existing_mix_is_compared_with_all_settings_and_defaults(tmp_path, mix, message):
    """Rows that are added later must not be trained on datasets that their licence excludes by now."""
    run_fake(make_board(tmp_path, mix="{size: 60, mixing: temperature}"))
    marker = tmp_path / "work" / "mix" / ".cme.json"
    written = BuildSettings(source="mini", out=tmp_path, size=60, mixing="temperature").identity([])
    values = json.loads(marker.read_text())
    marker.write_text(json.dumps(values | {"settings": values["settings"] | written}))
    assert survey(make_board(tmp_path, mix="{size: 60, mixing: temperature}")).finished
    now = survey(make_board(tmp_path, mix=mix))
    assert re.search(message, now.states["mix"].problem)
    assert {"mix", "entries/lora", "table"} <= now.needed, "the entries record the mix, too"


def rewritten(root, change):
    """Change the entry of LoRA."""
    file = root / "out" / "entries" / "lora.json"
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def test_an_entry_of_a_mix_of_other_uses_is_written_again(tmp_path):
    board = make_board(tmp_path, mix="{size: 60, licence: 'noncommercial,commercial'}")
    run_fake(board)
    for origin, finished in (
        ({"uses": ["commercial", "noncommercial"]}, True),
        ({"size": 60}, True),
        ({"uses": None}, False),
        ({"uses": ["noncommercial"]}, False),
        ({"size": None}, False),
        ({"temperature": 2.0}, False),
    ):
        rewritten(tmp_path, lambda v, origin=origin: v["runs"][0].update(provenance={"training": {"mix": origin}}))
        assert survey(board).states["entries/lora"].finished == finished, origin


def test_an_entry_of_another_grid_is_written_again(tmp_path):
    run_fake(make_board(tmp_path, grid="{widen: 0, steps: 3, seed: 4}"))

    def finished(grid, steps=3, seed=None):
        def change(values):
            values["lr_grid"] |= {"steps": steps, "seed": seed}
            for run in values["runs"]:
                run["cost"] = {"steps": 6}

        rewritten(tmp_path, change)
        board = make_board(tmp_path, grid=grid)
        return entry_problem(survey(board).plan.steps["entries/lora"])

    assert finished("{widen: 0, steps: 3, seed: 4}") is None
    assert finished("{widen: 0, steps: 5, seed: 4}") == "of a grid with another number of steps"
    assert finished("{widen: 0}") == "of a grid with another number of steps"
    assert finished("{widen: 0}", steps=6) is None, "without steps, the grid has those of the rows"
    assert finished("{widen: 0, steps: 3, seed: 4}", seed=0) == "of a grid with another seed"
    assert finished("{widen: 0, steps: 3, seed: 0}", seed=0) is None


def test_another_dtype_of_the_training_is_noticed(tmp_path):
    run_fake(make_board(tmp_path, training="{steps: 6, save_every: 2, dtype: bfloat16}"))
    assert survey(make_board(tmp_path)).finished, "auto stands for the dtype that is there"
    now = survey(make_board(tmp_path, training="{steps: 6, save_every: 2, dtype: float32}"))
    assert "entries/lora" in now.needed
    assert "dtype: 'bfloat16' there, 'float32' on this board" in now.states["runs/lora-1"].problem


def test_another_text_of_the_retention_is_noticed(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("some words")
    board = make_board(tmp_path, retention="true", retention_text=str(text))
    run_fake(board)
    loss = {"text": "text.txt", "text_sha256": sha256(b"some words").hexdigest()}
    rewritten(tmp_path, lambda v: [run.update(retention={"loss": loss}) for run in v["runs"]])
    result = tmp_path / "work" / "results" / "lora-0" / "result.json"
    result.write_text(json.dumps(json.loads(result.read_text()) | {"retention": {"loss": loss}}))
    assert survey(board).states["entries/lora"].finished and survey(board).states["results/lora-0"].finished
    without = make_board(tmp_path, retention="true")
    assert not survey(without).states["entries/lora"].finished
    text.write_text("other words")
    assert not survey(board).states["entries/lora"].finished
    assert "retention_text: another text there" in survey(board).states["results/lora-0"].problem


@pytest.mark.parametrize(
    "changes", ["rounds: 40", "dtype: float32", "batch: 2", "train_length: 160", "infer_length: 99"]
)
def test_costs_that_were_measured_elsewhere_with_other_settings_are_measured_again(tmp_path, changes):
    board = make_board(tmp_path, costs="true")
    run_fake(board)
    words = survey(board).plan.steps["costs/rank-4"].argv
    rewritten(tmp_path, lambda v: v["cost_ratios"].update(command=" ".join(["cme", *without_out(words)])))
    shutil.rmtree(tmp_path / "out" / "costs")
    assert survey(board).needed == {"table"}, "the table is rendered again because the entry was edited"
    assert {"costs/rank-4", "ratios/lora"} <= survey(make_board(tmp_path, costs=f"{{{changes}}}")).needed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("rank: 2", "rank: None there, 2 on this board"),
        ("ridge: 5", "ridge: 1.0 there, 5.0 on this board"),
        ("steps: 7", "steps: 300 there, 7 on this board"),
    ],
)
def test_exports_with_other_settings_are_noticed(tmp_path, changes, message):
    run_fake(make_board(tmp_path, exports="{how: [mean, fit, distil]}", datasets="[qqp, rte]"))
    now = survey(make_board(tmp_path, exports=f"{{how: [mean, fit, distil], {changes}}}", datasets="[qqp, rte]"))
    assert message in now.states["exports/team-0"].problem


def test_an_entry_with_exports_of_another_rank_is_written_again(tmp_path):
    board = make_board(tmp_path, exports="true", datasets="[qqp, rte]")
    run_fake(board)
    file = tmp_path / "out" / "entries" / "team.json"
    values = json.loads(file.read_text())
    for rank, finished in ((4, True), (2, False)):
        values["runs"][0]["router_worth"]["exports"] = [{"how": "mean", "rank": 4}, {"how": "fit", "rank": rank}]
        file.write_text(json.dumps(values))
        assert survey(board).states["experts/team"].finished == finished


def test_costs_of_other_settings_are_not_taken_for_the_boards(tmp_path):
    run_fake(make_board(tmp_path, costs="true"))
    changed = survey(make_board(tmp_path, costs="{batch: 4}"))
    assert "batch: 8 there, 4 on this board" in changed.states["costs/rank-4"].problem


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("source", "nowhere", "unknown source 'nowhere'"),
        ("source", "mini:grded", "grded"),
        ("mix", "nowhere", "mix is 'nowhere', which is not the folder of a mix"),
        ("retention_text", "nowhere.txt", "retention_text is 'nowhere.txt', which does not exist"),
        ("out", "{root}/base/config.json", "which is a file"),
    ],
)
def test_inputs_that_do_not_exist_are_one_message_before_anything_runs(tmp_path, key, value, message):
    board = make_board(tmp_path, retention="true", **{key: value.format(root=tmp_path)})
    with pytest.raises(UsageError) as caught:
        run_fake(board)
    assert message in str(caught.value) and not (tmp_path / "work").exists()


def test_runs_of_an_earlier_best_rate_are_named_and_kept(tmp_path):
    """A further rate turns out best, so the other seeds were trained with another one."""
    run_fake(make_board(tmp_path), losses={("lora", 1e-3): 0.6, ("lora", 2e-3): 0.5})
    before = (tmp_path / "work" / "runs" / "lora-1" / ".cme.json").read_bytes()
    ran, pool = run_fake(
        make_board(tmp_path, rates="[1e-3, 2e-3, 4e-3]"), losses={("lora", 4e-3): 0.1, ("team", 4e-3): 0.9}
    )
    assert "runs/lora-1" not in pool.started
    assert "learning_rate: 0.002 there, 0.004 on this board" in ran.failed["runs/lora-1"]
    assert "Move or remove it, and run the same command again." in ran.failed["runs/lora-1"]
    assert (tmp_path / "work" / "runs" / "lora-1" / ".cme.json").read_bytes() == before


@pytest.mark.parametrize(
    "file",
    [
        "out/entries/lora.json", "work/runs/lora-1/.cme.json", "work/grid/lora/lr-1e-03/.cme.json",
        "work/grid/lora/lr-1e-03/run.json", "work/results/base/result.json", "work/board.json", "work/steps/mix.json",
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path, file):
    board = make_board(tmp_path)
    run_fake(board)
    damaged = tmp_path / file
    damaged.write_text("[]")
    with pytest.raises(CMEError, match="is damaged") as caught:
        cme.board_status(board.path)
    assert damaged.name in str(caught.value)


@pytest.mark.parametrize("text", ["{}", '{"scorer_version": 1}'])
def test_a_file_that_is_no_entry_is_not_overwritten(tmp_path, text):
    board = make_board(tmp_path)
    run_fake(board)
    entry = tmp_path / "out" / "entries" / "lora.json"
    entry.write_text(text)
    with pytest.raises(CMEError, match="values are missing or have another type"):
        run_fake(board)
    assert entry.read_text() == text


def test_an_entry_of_a_later_version_is_not_overwritten(tmp_path):
    board = make_board(tmp_path)
    run_fake(board)
    entry = tmp_path / "out" / "entries" / "lora.json"
    entry.write_text(json.dumps(json.loads(entry.read_text()) | {"scorer_version": 99}))
    with pytest.raises(CMEError, match="was written by a later version of CME"):
        run_fake(board)


def test_a_board_knows_texts_and_options_as_the_commands_do(tmp_path):
    """A board only plans commands and imports neither the evaluation nor the benchmarks, so it states these values itself."""
    for name, data in (("plain.txt", b"words of a text\n"), ("mark\x07ed.txt", b"\xef\xbb\xbfbyte order mark")):
        (tmp_path / name).write_bytes(data)
        board = make_board(tmp_path, retention="true", retention_text=json.dumps(str(tmp_path / name)))
        text = read_text(tmp_path / name)
        assert text_of(board.file) == {"text": text.name, "text_sha256": text.sha256}
    defaults = {item.name: item.default for item in fields(BenchSettings)}
    assert {key: defaults[key] for key in OPTIONS} == OPTIONS
