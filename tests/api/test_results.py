"""What a result gives: numbers, frames, samples, and how long its folder lives."""

import copy
import gc
import json
import shutil

import numpy as np
import pandas as pd
import pytest

import cme
from cme.errors import CMEError, UsageError

DATASETS = "qqp,nq_open,race"


@pytest.fixture(scope="module")
def result(tiny_base, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "base"
    return cme.evaluate(base=str(tiny_base), source="mini", tier="quick", datasets=DATASETS, threads=1, out=out)


def test_the_numbers_are_those_of_the_record(result):
    assert (result.average, result.stderr) == (result.scores.average, result.scores.average_stderr)
    assert cme.score(result) == result.scores == cme.load_result(result).scores
    assert cme.load_result(result.folder / "result.json").record == result.record


def test_one_row_per_dataset(result):
    frame = result.to_frame()
    assert frame.columns.tolist() == [
        *("dataset", "family", "metric", "score", "stderr", "soft", "soft_stderr", "chance", "n", "clusters", "engine"),
        "seconds",
    ]
    assert frame["dataset"].tolist() == ["qqp", "nq_open", "race"] and frame["n"].tolist() == [64, 64, 64]
    for row, item in zip(frame.itertuples(), result.scores.datasets, strict=True):
        assert (row.score, row.stderr, row.chance) == (100 * item.value, 100 * item.stderr, 100 * item.chance)
    assert str(frame["stderr"].dtype) == "float64"


def test_the_average_is_the_mean_of_the_families(result):
    frame = result.families_frame()
    assert frame.columns.tolist() == ["family", "score", "stderr", "soft", "soft_stderr", "datasets"]
    assert frame["soft"].mean() == pytest.approx(result.soft_average)
    assert frame["score"].mean() == pytest.approx(result.average) and frame["datasets"].tolist() == [1, 1, 1]


def test_samples_give_the_scores_again(result):
    frame = result.samples()
    assert len(frame) == 3 * 64 and frame["id"].is_unique
    means = 100 * frame.groupby("dataset")["score"].mean()
    for row in result.to_frame().itertuples():
        assert means[row.dataset] == pytest.approx(row.score)
    assert {"score_acc", "score_f1", "score_exact_match"} <= set(frame.columns)
    free = frame[frame["dataset"] == "nq_open"]
    assert free["gold"].isna().all() and free["score_acc"].isna().all() and free["score_f1"].notna().all()
    choice = frame[frame["dataset"] == "race"]
    assert (choice["score"] == (choice["gold"] == choice["predicted"]).astype(float)).all()
    assert "prompt" not in frame.columns


def test_soft_scores_follow_from_the_log_probabilities(result):
    """By hand: a softmax over the options' log-probabilities; texts count with their primary metric."""
    frame = result.samples(texts=True, datasets=["qqp", "race", "nq_open"])
    means = {}
    for name, rows in frame.groupby("dataset"):
        if name == "nq_open":
            means[name] = rows["score"].mean()
            continue
        weights = [np.exp(np.array(values) - max(values)) for values in rows["logprobs"]]
        means[name] = np.mean([w[gold] / w.sum() for w, gold in zip(weights, rows["gold"], strict=True)])
    soft = result.to_frame().set_index("dataset")["soft"]
    assert {name: 100 * value for name, value in means.items()} == pytest.approx(soft.to_dict())
    assert result.soft_average == pytest.approx(100 * np.mean(list(means.values())))


def test_a_result_of_an_earlier_version_has_no_soft_scores_until_it_is_scored(result, tmp_path):
    old = shutil.copytree(result.folder, tmp_path / "old")
    values = json.loads((old / "result.json").read_text())
    del values["scores"]["soft"]
    (old / "result.json").write_text(json.dumps(values))
    loaded = cme.load_result(old)
    assert loaded.soft_average is None and loaded.to_frame()["soft"].isna().all()
    assert loaded.families_frame()["soft"].isna().all()
    assert cme.score(old).soft == result.scores.soft


@pytest.mark.parametrize("empty", [[], " , "])
def test_an_empty_list_of_datasets_does_not_give_the_samples_of_all(result, empty):
    with pytest.raises(cme.CMEError, match="datasets: the list is empty"):
        result.samples(datasets=empty)


def test_samples_with_texts(result):
    frame = result.samples(texts=True, datasets=["race", "open_domain_qa"])
    assert sorted(frame["dataset"].unique()) == ["nq_open", "race"]
    race, free = (frame[frame["dataset"] == name].iloc[0] for name in ("race", "nq_open"))
    assert race["choices"] == [" A", " B", " C", " D"] and len(race["logprobs"]) == 4 and pd.isna(race["response"])
    assert race["logprobs"].index(max(race["logprobs"])) == race["predicted"]
    assert free["prompt"].endswith("Answer:") and isinstance(free["response"], str) and free["answers"]
    (shown,) = cme.show_samples(result, "race", ids=race["id"])
    assert shown.prompt == race["prompt"]
    with pytest.raises(UsageError, match=r"dataset of this result 'rac'. Did you mean 'race'"):
        result.samples(datasets="rac")


def test_it_shows_itself(result):
    assert "CME average over 3 families" in repr(result) and "open_domain_qa" in repr(result)
    html = result._repr_html_()
    assert "<table" in html and f"{result.average:.2f}" in html


def test_names_are_escaped_in_html():
    name = "<script>alert(1)</script>"
    result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte", name=name)
    assert "<script>" not in result._repr_html_() and "&lt;script&gt;" in result._repr_html_()
    assert result.stderr is None and result.to_frame()["stderr"].isna().all()


def test_a_temporary_folder_lives_as_long_as_the_result(tmp_path):
    result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte")
    folder, average = result.folder, result.average
    assert folder.is_dir()
    kept = result.save(tmp_path / "kept")
    with pytest.raises(UsageError, match="already exists"):
        result.save(tmp_path / "kept")
    del result
    gc.collect()
    assert not folder.exists()
    assert cme.load_result(kept.folder).average == average and kept.samples().shape[0] == 8


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning", "error::ResourceWarning")
def test_a_copy_keeps_the_temporary_folder_and_its_end_warns_of_nothing():
    result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte")
    folder, copied = result.folder, copy.deepcopy(result)
    del result
    gc.collect()
    assert copied.samples().shape[0] == 8
    del copied
    gc.collect()
    assert not folder.exists()


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused_in_one_sentence(tiny_base, tmp_path, device):
    with pytest.raises(
        UsageError, match=f"device '{device}' cannot be used by PyTorch on this machine. Give one of: cpu"
    ):
        cme.evaluate(
            base=str(tiny_base), source="mini", tier="smoke", datasets="rte", device=device, out=tmp_path / "x"
        )
    assert not (tmp_path / "x").exists()


def test_threads_are_at_least_one(tiny_base):
    with pytest.raises(UsageError, match="threads: must be at least 1, found -1"):
        cme.evaluate(base=str(tiny_base), source="mini", tier="smoke", datasets="rte", threads=-1)


def test_a_failed_evaluation_leaves_no_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(CMEError):
        cme.evaluate(base="nobody", source="mini", tier="smoke", datasets="rte")
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_threads_is_put_back(tiny_base):
    import torch

    before = torch.get_num_threads()
    result = cme.evaluate(base=str(tiny_base), source="mini", tier="smoke", datasets="rte", threads=before + 1)
    assert result.record.threads == before + 1 and torch.get_num_threads() == before


def test_several_adapters(tiny_base, tmp_path):
    from tests.evaluation.runs import save_adapter

    one = save_adapter(tiny_base, tmp_path / "one", 0.3)
    results = cme.evaluate_each(
        [one, "base"], tmp_path / "out", base=str(tiny_base), source="mini", tier="smoke", datasets="rte", threads=1
    )
    assert results[0].name == "one" and results[1].record.adapter is None
    alone = cme.evaluate(adapter=one, base=str(tiny_base), source="mini", tier="smoke", datasets="rte", threads=1)
    assert alone.scores == results[0].scores and results[0].folder == tmp_path / "out" / "one"
