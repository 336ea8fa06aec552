import pytest

from cme import mini_corpus
from cme.errors import UsageError
from cme.mix import BuildSettings, build
from cme.mix.pool import mini_train_rows
from cme.suite import select

SIX = ("anli", "arc", "cnn_dailymail", "nq_open", "qqp", "squad_v2")


def test_planted_copies_are_found_in_their_known_numbers(tmp_path):
    manifest = build(BuildSettings(source="mini", out=tmp_path / "mix", size=3000, datasets=("nq_open", "qqp")))
    assert manifest.rows == 3000
    for name in ("nq_open", "qqp"):
        item = manifest.datasets[name]
        assert item.read == 2048
        planted = mini_corpus.planted(name, item.read)
        found = {
            "duplicates": item.duplicates,
            "leaks": sum(item.leaks.values()),
            "unlabelled": item.dropped.get("no label", 0),
        }
        assert found == planted
        assert item.conflicting == 0


def test_the_pool_grows_with_the_size_until_the_world_ends():
    specs = select(SIX)
    assert mini_train_rows(specs, None) is None
    small, large = mini_train_rows(specs, 6_000), mini_train_rows(specs, 60_000)
    assert small is not None and large is not None
    assert 6_000 / 6 < small < large < 60_000
    everything = mini_train_rows(select(["arc"]), 10**9)
    assert everything is not None and everything >= mini_corpus.size("arc_easy", "train")


def test_more_than_the_world_has_is_refused(tmp_path, monkeypatch):
    real = mini_corpus.size
    monkeypatch.setattr(mini_corpus, "size", lambda folder, split: 300 if split == "train" else real(folder, split))
    with pytest.raises(UsageError, match="were requested, but only"):
        build(BuildSettings(source="mini", out=tmp_path / "mix", size=5000, datasets=("nq_open", "qqp")))
