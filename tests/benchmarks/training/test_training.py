"""The comparison with TRL: its settings, its table, and one real measurement on a tiny base."""

import importlib.metadata
import importlib.util

import pytest

from benchmarks.training.run import TrainReport, measure_training
from benchmarks.training.settings import TrainBenchSettings
from benchmarks.training.side import Training
from benchmarks.training.table import cost_rows, legend, markdown
from cme.bench.adapters.ratios import ratio_of
from cme.errors import MissingExtraError, UsageError


def training(side, seconds, tokens=1000, peak=100):
    return Training(side, tokens, seconds, 10, peak << 20, (2.0, 1.5), "1")


@pytest.fixture
def report():
    trainings = {
        "cme": (training("cme", 1.0), training("cme", 2.0)),
        "trl": (training("trl", 3.0, peak=150), training("trl", 4.0, peak=150)),
    }
    costs = {side: [one.seconds / one.tokens for one in of] for side, of in trainings.items()}
    return TrainReport(
        settings=TrainBenchSettings(rounds=2, sides=("cme", "trl")),
        trainings=trainings,
        ratios=(ratio_of("train", "trl", "cme", costs["trl"], costs["cme"]),),
        hardware="a processor",
        cpus=2,
        versions={"torch": "1", "transformers": "2", "peft": "3", "trl": "4"},
        command=("python", "-m", "benchmarks.training"),
    )


def test_ratios_are_computed_within_rounds(report):
    # 3 / 1 and 4 / 2; the median of both is 2.5.
    columns, rows = cost_rows(report)
    assert rows[0] == ["cme", "1,000", "0.150", "750", "1", "100", "1.00", "2.000", "1.500"]
    own = dict(zip(columns, rows[1], strict=True))
    assert (
        own["CME's speed / this"].startswith("2.50 [") and own["peak / CME"] == "1.50" and own["s per step"] == "0.350"
    )


def test_the_page_says_what_was_compared(report):
    page = markdown(report)
    assert "trl: SFTTrainer with its defaults, among them gradient checkpointing" in page
    assert "a processor, 2 CPUs" in page and "Command: `python -m benchmarks.training`" in page
    assert "trl-packed" not in legend(report)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sides": ("cme", "trl-pakced")}, "unknown side 'trl-pakced'. Did you mean 'trl-packed'?"),
        ({"sides": ("trl", "trl-packed")}, "Give cme and at least one other side"),
        ({"sides": ("cme",)}, "Give cme and at least one other side"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"steps": 0}, "steps must be at least 1, found 0"),
    ],
)
def test_bad_settings(changes, problem):
    with pytest.raises(UsageError) as caught:
        TrainBenchSettings(**changes)
    assert problem in str(caught.value)


def test_without_trl_it_says_how_to_get_it(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(MissingExtraError, match=r"TRL is not installed\. .*pip install -c constraints\.txt trl"):
        measure_training(TrainBenchSettings())


@pytest.mark.long
@pytest.mark.skipif(
    importlib.util.find_spec("trl") is None, reason="TRL is not installed: pip install -c constraints.txt trl"
)
def test_all_sides_train_on_the_same_rows(tiny_base):
    settings = TrainBenchSettings(
        base=str(tiny_base), steps=4, batch_size=4, max_length=1024, rank=4, dtype="float32", rounds=1, threads=1
    )
    report = measure_training(settings)
    tokens = {side: of[0].tokens for side, of in report.trainings.items()}
    assert tokens["cme"] > 0
    # The sides that train on whole rows see the same tokens.
    assert tokens["trl"] == tokens["trl-padded"] == tokens["trl-grouped"] == tokens["cme"]
    assert all(of[0].steps == 4 and of[0].seconds > 0 and of[0].peak_bytes > 0 for of in report.trainings.values())
