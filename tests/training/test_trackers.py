"""Experiment trackers: their output, its location, and that they do not affect the run."""

import csv
import json
import os
import socket
import sqlite3
import subprocess
import sys

import pytest

from cme.adapters import AdapterSettings
from cme.errors import UsageError
from cme.records import Run, read_record
from cme.training import load_recipe, recipe_text, train
from cme.training.grid import train_grid
from cme.training.settings import settings_from, stored

from .test_resume import interrupted

LORA = AdapterSettings("lora", rank=4, alpha=8.0)


@pytest.fixture
def trackio_folder(tmp_path, monkeypatch):
    """A temporary folder for trackio's database. trackio reads ``TRACKIO_DIR`` only when it is imported."""
    trackio = pytest.importorskip("trackio", minversion="0.20", reason="trackio is not installed")
    folder = tmp_path / "trackio"
    for module in (trackio, sys.modules["trackio.utils"], sys.modules["trackio.sqlite_storage"]):
        monkeypatch.setattr(module, "TRACKIO_DIR", folder)
    monkeypatch.setattr(sys.modules["trackio.utils"], "MEDIA_DIR", folder / "media")
    for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


def curve(out):
    with (out / "curve.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def pairs(run):
    return [tuple(pair) for pair in run.losses]


def tensorboard(out, name="run"):
    """Return the scalars and hyper-parameters of a run, as read by TensorBoard."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(out / "tracking" / "tensorboard" / name))
    events.Reload()
    scalars = {tag: [(item.step, item.value) for item in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    parameters = HParamsPluginData.FromString(content).session_start_info.hparams
    values = {key: getattr(value, value.WhichOneof("kind")) for key, value in parameters.items()}
    return scalars, values


def trackio_runs(folder):
    """Return steps and losses, and the configuration, of every run in trackio's database by the run's name."""
    with sqlite3.connect(folder / "cme.db") as database:
        rows = database.execute("select run_name, step, metrics from metrics order by id").fetchall()
        configs = dict(database.execute("select run_name, config from configs").fetchall())
    runs = {}
    for name, step, metrics in rows:
        values = json.loads(metrics)
        assert values["train/global_step"] == step
        runs.setdefault(name, []).append((step, values["train/loss"]))
    return runs, {name: json.loads(config) for name, config in configs.items()}


def test_a_run_with_trackers_is_the_run_without(settings, tmp_path, trackio_folder):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    tracked = train(settings(report_to=("tensorboard", "trackio")), LORA, out=tmp_path / "a" / "run")
    plain = train(settings(), LORA, out=tmp_path / "b" / "run")
    assert tracked.adapter_fingerprint == plain.adapter_fingerprint
    assert (tracked.training, tracked.losses) == (plain.training, plain.losses)
    for name in ("config.yaml", "curve.csv", "curve.svg", ".cme.json"):
        assert (tmp_path / "a" / "run" / name).read_bytes() == (tmp_path / "b" / "run" / name).read_bytes(), name
    assert not (tmp_path / "b" / "run" / "tracking").exists()


def test_tensorboard_gets_loss_rate_and_settings(settings, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    run = train(settings(report_to=("tensorboard",)), LORA, out=tmp_path / "run")
    scalars, values = tensorboard(tmp_path / "run")
    assert scalars["train/loss"] == [(step, pytest.approx(loss, rel=1e-6)) for step, loss in run.losses]
    rates = [(row["step"], pytest.approx(row["learning_rate"], rel=1e-6)) for row in curve(tmp_path / "run")]
    assert scalars["train/learning_rate"] == rates
    assert (values["method"], values["rank"], values["learning_rate"]) == ("lora", 4, 1e-2)


def test_a_continued_run_goes_on_in_its_tracker_runs(settings, tmp_path, monkeypatch, trackio_folder):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    given, out = settings(report_to=("tensorboard", "trackio")), tmp_path / "run"
    interrupted(monkeypatch, given, LORA, out, step=3)  # before the first checkpoint
    interrupted(monkeypatch, given, LORA, out, step=9)  # steps 6 to 8 are logged, and lost with the next start
    train(given, LORA, out=out)
    whole = train(settings(), LORA, out=tmp_path / "whole")
    assert curve(out) == curve(tmp_path / "whole")
    scalars, _ = tensorboard(out)
    assert scalars["train/loss"] == [(step, pytest.approx(loss, rel=1e-6)) for step, loss in whole.losses]
    runs, _ = trackio_runs(trackio_folder)
    assert list(runs) == ["run"] and dict(runs["run"]) == dict(pairs(whole))


def test_a_run_can_be_continued_without_its_tracker_and_with_another(settings, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    out = tmp_path / "run"
    interrupted(monkeypatch, settings(), LORA, out, step=7)
    run = train(settings(report_to=("tensorboard",)), LORA, out=out)
    assert run.interruptions == 1
    assert [step for step, _ in tensorboard(out)[0]["train/loss"]] == list(range(6, 13))


def test_trackio_logs_locally_and_runs_of_one_name_stay_apart(settings, tmp_path, trackio_folder, monkeypatch, capsys):
    reached = []

    def no_network(host, *args, **kwargs):
        reached.append(host)
        raise OSError("no network in this test")

    monkeypatch.setenv("HF_TOKEN", "hf_never_sent")
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    first = train(settings(report_to=("trackio",)), LORA, out=tmp_path / "a" / "run")
    second = train(settings(report_to=("trackio",), seed=1), LORA, out=tmp_path / "b" / "run")
    assert reached == [] and capsys.readouterr().out == ""
    runs, configs = trackio_runs(trackio_folder)
    assert runs == {"run": pairs(first), "run (2)": pairs(second)}
    assert (configs["run"]["method"], configs["run"]["rank"], configs["run (2)"]["seed"]) == ("lora", 4, 1)


def test_each_rate_of_a_grid_is_a_tracker_run(settings, tmp_path, trackio_folder):
    train_grid(settings(report_to=("trackio",)), LORA, [1e-3, 1e-2], out=tmp_path / "grid")
    assert list(trackio_runs(trackio_folder)[0]) == ["lr-1e-03", "lr-1e-02"]


def test_wandb_offline_writes_into_the_run_folder(settings, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    out = tmp_path / "run"
    train(settings(report_to=("wandb",)), LORA, out=out)
    (folder,) = (out / "tracking" / "wandb").glob("offline-run-*")
    known = json.loads((out / "tracking" / "runs.json").read_text())["wandb"]
    assert folder.name.endswith(known) and list(folder.glob("*.wandb"))


@pytest.mark.parametrize("package", ["tensorboard", "wandb", "trackio"])
def test_a_missing_package_is_one_sentence_with_the_pip_line(settings, tmp_path, monkeypatch, package):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else find(name, *more))
    with pytest.raises(UsageError, match=rf"report_to {package} needs a package .*: pip install {package}$"):
        train(settings(report_to=(package,)), LORA, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("none", ()),
        ("tensorboard", ("tensorboard",)),
        ("tensorboard, trackio", ("tensorboard", "trackio")),
        (["wandb"], ("wandb",)),
    ],
)
def test_trackers_in_a_recipe(given, names):
    settings = settings_from({"data": "mix", "report_to": given})
    assert settings.report_to == names and "report_to" not in stored(settings)
    assert "report_to" not in recipe_text(settings, LORA)


def test_an_unknown_tracker(tmp_path):
    with pytest.raises(
        UsageError, match=r"report_to: 'mlflow' is not a tracker\. Choose from tensorboard, wandb, trackio"
    ):
        load_recipe(None, {"method": "lora", "data": "mix", "report_to": "mlflow"})


@pytest.mark.long
def test_only_the_first_of_two_processes_reports(settings, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    (tmp_path / "recipe.yaml").write_text(recipe_text(settings(batch_size=2), LORA))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "cme"]
    command += ["train", "--recipe", str(tmp_path / "recipe.yaml"), "--report-to", "tensorboard"]
    command += ["--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "run" / "tracking" / "tensorboard" / "run").iterdir())) == 1
    losses = read_record(tmp_path / "run" / "run.json", Run).losses
    assert [step for step, _ in tensorboard(tmp_path / "run")[0]["train/loss"]] == [step for step, _ in losses]
