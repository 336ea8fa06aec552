"""The learning curve in a run's folder and on its card."""

import csv
import importlib.util
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from cme.adapters import AdapterSettings
from cme.training import train
from cme.training.curve import COLUMNS, curve_rows, median_norm, write_curve

from .test_resume import interrupted

LORA = AdapterSettings("lora", rank=4, alpha=8.0)


def read(out):
    with (out / "curve.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_count_epochs_and_tokens_from_the_order():
    history = [
        {"step": 2, "loss": 3.0, "grad_norm": 1.5, "learning_rate": 0.1},
        {"step": 3, "loss": 2.0, "grad_norm": 1.0, "learning_rate": 0.05},
        {"step": 3, "train_runtime": 1.0},
    ]
    # Three steps of two examples, of 4 examples with 10, 20, 30 and 40 tokens.
    rows = curve_rows(history, np.array([10, 20, 30, 40]), np.array([3, 0, 1, 2, 0, 3]), 2)
    assert rows == [
        {"step": 2, "epoch": 1.0, "loss": 3.0, "learning_rate": 0.1, "grad_norm": 1.5, "tokens": 100},
        {"step": 3, "epoch": 1.5, "loss": 2.0, "learning_rate": 0.05, "grad_norm": 1.0, "tokens": 150},
    ]


def test_the_curve_agrees_with_the_run_record_also_after_an_interruption(settings, tmp_path, monkeypatch):
    given, out = settings(logging_steps=2), tmp_path / "run"
    interrupted(monkeypatch, given, LORA, out, step=8)
    assert not (out / "curve.csv").exists()
    run = train(given, LORA, out=out)
    rows = read(out)
    assert tuple(rows[0]) == COLUMNS
    assert [(int(row["step"]), float(row["loss"])) for row in rows] == [tuple(pair) for pair in run.losses]
    assert int(rows[-1]["tokens"]) == run.tokens and float(rows[-1]["epoch"]) == run.examples / 120
    assert float(rows[-1]["learning_rate"]) < float(rows[1]["learning_rate"])
    train(given, LORA, out=tmp_path / "whole")
    for name in ("curve.csv", "curve.svg"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_card_shows_the_picture_where_matplotlib_is_installed(settings, tmp_path, monkeypatch):
    train(settings(), LORA, out=tmp_path / "with")
    card = (tmp_path / "with" / "README.md").read_text()
    assert "![Training loss and learning rate](curve.svg)" in card and "[curve.csv](curve.csv)" in card
    texts = {item.text for item in ET.parse(tmp_path / "with" / "curve.svg").iter("{http://www.w3.org/2000/svg}text")}
    assert {"training loss", "learning rate", "optimiser step"} <= texts

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "matplotlib" else find(name, *more)
    )
    train(settings(), LORA, out=tmp_path / "without")
    card = (tmp_path / "without" / "README.md").read_text()
    assert "curve.svg" not in card and "[curve.csv](curve.csv)" in card
    assert not (tmp_path / "without" / "curve.svg").exists()
    assert read(tmp_path / "without") == read(tmp_path / "with")


def test_the_median_norm_is_that_of_the_logged_steps(tmp_path):
    rows = [dict.fromkeys(COLUMNS, 1) | {"grad_norm": norm} for norm in (0.5, 4.0, 0.75)]
    assert median_norm(tmp_path) is None
    write_curve(tmp_path, rows)
    assert median_norm(tmp_path) == 0.75
    write_curve(tmp_path, [*rows, rows[0] | {"grad_norm": float("inf")}])
    assert median_norm(tmp_path) == 0.75
    write_curve(tmp_path, [])
    assert median_norm(tmp_path) is None


@pytest.mark.parametrize("text", ["step,grad_norm\n1\n", "step\n1\n", "grad_norm\nhigh\n", "\0", "grad_norm\nnan\n"])
def test_a_damaged_curve_has_no_norm(tmp_path, text):
    (tmp_path / "curve.csv").write_text(text)
    assert median_norm(tmp_path) is None
