"""The validation loss and the load at checkpoints of a trained run, from the command line and from Python."""

import json
import shutil

import jsonschema
import numpy as np
import pytest

import cme
from cme.analysis.loss_table import read_losses
from cme.errors import CMEWarning, UsageError
from cme.progress import announced
from cme.records import read_record
from cme.records.analysis import Analysis
from cme.records.schema import json_schema
from tests.evaluation.runs import save_adapter
from tests.training.conftest import ROWS, base, mix, write_mix  # noqa: F401 (fixtures)

pytestmark = pytest.mark.filterwarnings("ignore:tier smoke")

VALUES = {"source": "mini", "tier": "smoke", "datasets": "qqp", "threads": 1, "validation_rows": 8, "draws": 2}


@pytest.fixture(scope="module")
def run(base, mix, tmp_path_factory):  # noqa: F811 (the fixtures)
    return cme.train(
        tmp_path_factory.mktemp("runs") / "team", data=mix, base=str(base), method="teamlora", rank=2, experts=4, lr=1e-2,
        steps=6, batch_size=2, max_length=256, dtype="float32", threads=1, save_every=2, keep_checkpoints=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def analysis(base, run, tmp_path_factory):  # noqa: F811 (the fixtures)
    out, messages = tmp_path_factory.mktemp("analysis") / "team", []
    with announced(messages.append), pytest.warns(CMEWarning, match="8 validation rows are too few for intervals"):
        done = cme.analyse(run, out, base=str(base), parts="validation,training", **VALUES)
    passes = f"{done.record.passes} passes over up to 8 validation rows, one pass for each of 3 checkpoints"
    assert messages == [f"team: This analysis of 4 experts takes {passes}."]
    return done


def test_the_table_says_why_there_are_no_intervals(analysis):
    assert "There are no intervals, because 8 clusters of rows are too few for them (at least 20)." in analysis.markdown
    assert "95 %" not in analysis.markdown and "Tier smoke is too small" not in analysis.markdown


def test_the_record_fits_its_schema_and_is_read_again(analysis):
    record = read_record(analysis.folder / "analysis.json", Analysis)
    assert record == analysis.record
    jsonschema.validate(json.loads((analysis.folder / "analysis.json").read_text()), json_schema(Analysis))


def test_passes_are_counted_apart_from_scored_evaluations(analysis):
    # The base has two blocks, so there are two groups of layers.
    assert (analysis.record.evaluations, analysis.record.passes) == (0, 16 + 2 + 2 * 15 + 2 * 4)
    assert len(list((analysis.folder / "validation").iterdir())) == analysis.record.passes
    assert not (analysis.folder / "evaluations").exists()


def test_the_loss_of_all_rows_is_that_of_the_training(base, run, tmp_path):  # noqa: F811 (the fixtures)
    values = VALUES | {"validation_rows": 999, "draws": 1}
    done = cme.analyse(run, tmp_path / "out", base=str(base), parts="validation", **values)
    found = done.record.validation
    assert found.rows == 16 and found.dropped == 0
    assert found.token_loss == pytest.approx(run.record.validation_loss, rel=1e-5)
    assert found.mix_fingerprint == run.record.mix_fingerprint


def test_all_values_follow_from_the_file(analysis):
    from cme.analysis.loss_masks import LossMasks
    from cme.analysis.validation import validation_analysis

    found = analysis.record.validation
    layers = [layer for group in found.groups for layer in group.layers]
    table, masks = read_losses(analysis.folder / "validation.parquet"), LossMasks(4, layers, 2)
    assert validation_analysis(table, masks, mix_fingerprint=found.mix_fingerprint, guarded=found.guarded) == found
    assert 0 <= found.guarded < 1
    assert sum(item.value for item in found.shapley.values) == pytest.approx(
        table.mean("base") - table.mean("all"), abs=1e-12
    )


def test_the_load_at_each_checkpoint_is_that_of_its_own_analysis(analysis, base, run, tmp_path):  # noqa: F811
    training = analysis.record.training
    assert [item.step for item in training.steps] == [2, 4, 6] and training.rows == 8
    checkpoint = run.folder / "checkpoints" / "checkpoint-4"
    own = cme.analyse(checkpoint, tmp_path / "out", base=str(base), parts="load", **VALUES).record.load.prompt[0]
    step = training.steps[1]
    for name in ("entropy", "effective", "token_entropy", "confident"):
        assert getattr(step, name) == pytest.approx(getattr(own, name), abs=1e-9), name
    assert own.tokens == training.tokens and 0.25 <= step.top1 <= 1
    assert len({item.entropy for item in training.steps}) == 3, "training changes the load"


def test_tables_and_figures_are_written(analysis):
    text = analysis.markdown
    for part in (
        "## Validation loss",
        "expert 1 alone",
        "first block",
        "drawn bundles with a lower loss",
        "| 4 |",
        "top-1",
    ):
        assert part in text
    assert "0 scored evaluations and 56 passes" in text
    for name in ("validation", "bundles", "layer-groups", "training"):
        assert (analysis.folder / f"{name}.svg").read_text().startswith("<?xml")
        assert (analysis.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_an_interrupted_analysis_measures_no_mask_and_no_checkpoint_twice(analysis, base, run, tmp_path, monkeypatch):  # noqa: F811
    import cme.api.analysis_training as training
    from cme.analysis.answer_loss import AnswerLoss

    measured, loads = [], []
    measure, load = AnswerLoss.measure, training.measure_load

    def stops(self, model, *each):
        measured.append(None)
        if len(measured) == 5:
            raise KeyboardInterrupt
        return measure(self, model, *each)

    def stops_too(*args):
        loads.append(None)
        if len(loads) == 2:
            raise KeyboardInterrupt
        return load(*args)

    monkeypatch.setattr(AnswerLoss, "measure", stops)
    monkeypatch.setattr(training, "measure_load", stops_too)
    values = VALUES | {"base": str(base), "parts": "validation,training"}
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            cme.analyse(run, tmp_path / "out", **values)
    done = cme.analyse(run, tmp_path / "out", **values)
    assert (len(measured), len(loads)) == (56 + 1, 3 + 1)
    assert done.record.validation == analysis.record.validation and done.record.training == analysis.record.training


def test_a_run_without_its_mix_is_analysed_and_says_so(base, run, tmp_path):  # noqa: F811 (the fixtures)
    copy = tmp_path / "copy"
    shutil.copytree(run.folder, copy, ignore=shutil.ignore_patterns("checkpoints", "run.json"))
    done = cme.analyse(copy, tmp_path / "out", base=str(base), parts="similarity,validation", **VALUES)
    assert done.record.validation is None and done.record.passes == 0 and done.record.similarity is not None
    assert "has no run.json of its training, so its mix is unknown" in done.record.without_validation
    assert "Not measured: " in done.markdown and not (done.folder / "validation.parquet").exists()


def test_a_mix_that_moved_is_named(base, run, mix, tmp_path):  # noqa: F811 (the fixtures)
    copy, moved = tmp_path / "copy", tmp_path / "moved"
    shutil.copytree(run.folder, copy)
    shutil.copytree(mix, moved)
    record = json.loads((copy / "run.json").read_text())
    record["training"]["data"] = str(tmp_path / "gone")
    (copy / "run.json").write_text(json.dumps(record))
    values = VALUES | {"base": str(base), "parts": "similarity,validation", "draws": 1, "validation_rows": 2}
    without = cme.analyse(copy, tmp_path / "without", **values)
    assert "gone does not exist" in without.record.without_validation
    done = cme.analyse(copy, tmp_path / "out" / "copy", data=moved, **values)
    assert done.record.validation.rows == 2 and done.record.without_validation is None
    (again,) = cme.analyse_each([copy], tmp_path / "out", **values)
    assert again.record == done.record, "a finished analysis is read, although the mix is gone"


def test_what_cannot_be_measured_is_refused_before_any_work(base, run, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("cme.api.analysis_parts.load_model", None)
    other = write_mix(tmp_path / "other", [ROWS[:4]], ROWS[4:8])
    empty = write_mix(tmp_path / "empty", [ROWS[:4]])
    strange = save_adapter(base, tmp_path / "strange", 0.3, "teamlora")
    for adapter, changes, message in (
        (run, {"data": other}, "other is not the mix of this run"),
        (run, {"data": tmp_path}, "is not a mix"),
        (run, {"data": tmp_path / "none"}, "none does not exist"),
        (strange, {"data": empty}, "empty has no validation rows"),
        (
            strange,
            {},
            "has no run.json of its training, so its mix is unknown. Give the folder of the mix with --data.",
        ),
        (strange, {"parts": "training"}, "strange has no complete checkpoints"),
        (run, {"draws": 0}, "the number of draws is 0"),
        (run, {"validation_rows": 0}, "the number of validation rows is 0"),
    ):
        values = VALUES | {"base": str(base), "parts": "validation"} | changes
        with pytest.raises(UsageError, match=message):
            cme.analyse(adapter, tmp_path / "out", **values)
        assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("error:constrained_layout")
def test_the_command_line_does_the_same(analysis, base, run, mix, tmp_path):  # noqa: F811 (the fixtures)
    from typer.testing import CliRunner

    from cme.cli.main import app

    words = [
        "analyse",
        str(run.folder),
        "--base",
        str(base),
        "--source",
        "mini",
        "--tier",
        "smoke",
        "--datasets",
        "qqp",
    ]
    words += ["--threads", "1", "--parts", "training,validation", "--validation-rows", "8", "--draws", "2"]
    words += ["--data", str(mix), "--out", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    record, expected = json.loads(done.stdout), json.loads((analysis.folder / "analysis.json").read_text())
    assert record["parts"] == ["validation", "training"]
    assert record["validation"] == expected["validation"] and record["training"] == expected["training"]
    assert np.isfinite(record["validation"]["token_loss"])
    refused = CliRunner().invoke(app, [*words[:-2], str(tmp_path / "x"), "--draws", "0"])
    assert refused.exit_code == 2 and not (tmp_path / "x").exists()
