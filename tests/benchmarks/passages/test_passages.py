"""The benchmark of shared passages: its rows, its counts, and its command. The tests do not assert speeds."""

import json
from collections import Counter

import pytest
from typer.testing import CliRunner

from benchmarks.evaluation import EvalBenchSettings
from benchmarks.passages import PASSAGES, measure_passages, write_rows
from benchmarks.passages.__main__ import app
from cme.evaluation.task import load
from cme.suite import dataset


@pytest.mark.parametrize("name", PASSAGES)
def test_rows_have_as_many_questions_per_passage_as_on_the_hub(name, tmp_path):
    share = 0.02
    expected = [(round(rows * share), round(passages * share)) for rows, passages in PASSAGES[name].values()]
    assert write_rows(tmp_path, name, share) == sum(rows for rows, _ in expected)
    docs = load(cme_dataset=name, cme_source=str(tmp_path), cme_tier="full")["eval"].to_list()
    sizes = Counter(doc["cluster"] for doc in docs)
    assert len(docs) == sum(rows for rows, _ in expected) and len(sizes) == sum(passages for _, passages in expected)
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_published_numbers_of_rows():
    for name, files in PASSAGES.items():
        assert sum(rows for rows, _ in files.values()) == dataset(name).rows["eval"]


@pytest.fixture(scope="module")
def savings(tiny_base, tmp_path_factory):
    settings = EvalBenchSettings(base=str(tiny_base), rounds=2, threads=1, device="cpu")
    return measure_passages(settings, ("squad_v2", "race"), share=0.005, folder=tmp_path_factory.mktemp("rows"))


@pytest.mark.long
def test_shared_passages_halve_the_tokens_and_change_no_answer(savings):
    assert [(saving.dataset, saving.rows, saving.passages) for saving in savings] == [
        ("race", 25, 7),
        ("squad_v2", 59, 6),
    ]
    for saving in savings:
        assert saving.tokens > 1.5 and saving.without.tokens / saving.shared.tokens == saving.tokens
        assert len(saving.seconds) == 2 and min(map(min, saving.seconds)) > 0 and saving.time > 0
        assert not saving.agreement.decisions and not saving.agreement.texts
        assert saving.agreement.gap is None or saving.agreement.gap < 1e-4


@pytest.mark.long
def test_counts_with_a_tiny_model_are_those_of_the_base(savings, tiny_base, tmp_path):
    settings = EvalBenchSettings(base=str(tiny_base), threads=1, device="cpu")
    (race,) = measure_passages(settings, ("race",), share=0.005, folder=tmp_path, tiny=True)
    assert (race.without, race.shared) == (savings[0].without, savings[0].shared)


@pytest.mark.long
def test_the_command(tiny_base):
    words = ["--base", str(tiny_base), "--share", "0.005", "--datasets", "race", "--threads", "1", "--device", "cpu"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0 and "race" in shown.output and "time ratio" in shown.output
    report = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert report[0]["dataset"] == "race" and report[0]["tokens_ratio"] > 1.5
    rows = CliRunner().invoke(app, [*words[:2], "--source", "mini", "--rows", "8", "--datasets", "qqp", "--json"])
    assert json.loads(rows.stdout)[0]["rows"] == 8


def test_datasets_without_passages_are_refused():
    done = CliRunner().invoke(app, ["--datasets", "qqp"])
    assert done.exit_code == 2 and "unknown dataset with passages 'qqp'" in done.output
