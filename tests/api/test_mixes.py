"""A mix as Python users handle it."""

import os

import pytest

import cme
from cme.errors import CMEError, UsageError


@pytest.fixture(scope="module")
def mix(tmp_path_factory):
    out = tmp_path_factory.mktemp("mixes") / "mix"
    return cme.build_mix(out, source="mini", size=300, datasets="rte,qqp", validation_share=0.05, workers=1)


def test_it_is_loaded_with_the_datasets_library(mix):
    import datasets

    both = mix.load()
    assert isinstance(both, datasets.DatasetDict) and list(both) == ["train", "validation"]
    assert both["train"].num_rows == mix.rows == 300
    train = cme.load_mix(mix, split="train", columns=["instruction", "output"])
    assert isinstance(train, datasets.Dataset) and train.column_names == ["instruction", "output"]
    assert train[0]["output"] == both["train"][0]["output"]
    for wrong, says in (
        ({"split": "test"}, "split of a mix 'test'"),
        ({"columns": ["text"]}, "column of a mix 'text'"),
    ):
        with pytest.raises(UsageError, match=says):
            cme.load_mix(mix, **wrong)


def test_the_frame_counts_its_rows(mix):
    frame = mix.to_frame()
    assert frame["rows"].sum() == 300 and frame["dataset"].tolist() == ["qqp", "rte"]
    lost = frame[["dropped", "conflicting", "duplicates", "leaks", "validation"]].sum(axis=1)
    assert (frame["read"] - lost == frame["available"]).all() and (frame["rows"] <= frame["available"]).all()
    assert "300 training rows" in repr(mix) and "<table" in mix._repr_html_()


def test_it_stands_for_its_folder(mix):
    assert os.fspath(mix) == str(mix.folder) and cme.verify_mix(mix).problems == ()
    assert set(cme.inspect_mix(mix, n=1).examples) == {"qqp", "rte"}
    with pytest.raises(UsageError, match="Both must be at least 0"):
        cme.inspect_mix(mix, n=-1)


def test_decontamination_can_be_asked_for_without_a_mix(mix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = cme.check_mix(source="mini", datasets=["rte", "qqp"], validation_share=0.05, workers=1)
    assert found.rows == {row.dataset: row.available for row in mix.to_frame().itertuples()} or sum(found.rows.values())
    assert list(tmp_path.iterdir()) == []


def test_the_same_call_again_says_that_it_is_done(mix):
    with pytest.raises(CMEError, match="finished output of this command"):
        cme.build_mix(mix, source="mini", size=300, datasets="rte,qqp", validation_share=0.05, workers=1)
