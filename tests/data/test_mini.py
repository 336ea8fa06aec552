"""The mini corpus as a source."""

import pyarrow as pa
import pytest

from cme import mini_corpus
from cme.data.load import load_examples
from cme.data.sources import check_source, open_source
from cme.data.sources.mini import EVAL_ROWS
from cme.errors import SourceError, UsageError
from cme.suite import dataset, datasets

EACH = pytest.mark.parametrize("spec", datasets("all").values(), ids=lambda spec: spec.name)


def test_nothing_is_missing():
    assert check_source(open_source("mini"), datasets().values(), ("train", "eval")) == []


@EACH
def test_every_row_is_a_row_of_its_dataset(spec):
    """The loader's own checks hold, and nothing but what is planted is dropped."""
    source = open_source("mini")
    outcome = load_examples(spec, "eval", source)
    assert outcome.read == len(outcome.examples) == EVAL_ROWS * len(spec.subsets)
    assert len({example.id for example in outcome.examples}) == len(outcome.examples)


@pytest.mark.parametrize("spec", [spec for spec in datasets("all").values() if spec.trains], ids=lambda spec: spec.name)
def test_at_least_the_requested_training_rows(spec):
    subset = spec.subsets[0]
    small, large = (open_source("mini", train_rows=rows).table(spec, subset, subset.train) for rows in (1, 2049))
    assert len(spec.subsets) * small.num_rows >= 2048
    assert large.num_rows >= 2 * small.num_rows - 1
    # A larger pool begins with the smaller one, so mixes of different sizes are comparable.
    assert large.slice(0, small.num_rows).to_pylist() == small.to_pylist()


def test_the_same_seed_gives_the_same_rows_and_another_one_others():
    spec = dataset("nq_open")

    def rows(seed):
        return load_examples(spec, "eval", open_source(f"mini:seed={seed}")).examples

    assert rows(0) == rows(0)
    assert not {example.id for example in rows(0)} & {example.id for example in rows(1)}


def test_more_than_exists_is_an_error_that_says_how_many_there_are():
    most = mini_corpus.size("nq_open", "validation")
    assert len(mini_corpus.rows("nq_open", "validation", most)) == most
    with pytest.raises(UsageError, match=rf"{most:,} rows of nq_open/validation; {most + 1:,} were requested"):
        mini_corpus.rows("nq_open", "validation", most + 1)


def test_a_pool_is_never_larger_than_the_world():
    spec = dataset("arc")
    folder, split = spec.subsets[0].folder, spec.subsets[0].train
    counts: list[int] = []

    def rows(folder, split, count, **options):
        counts.append(count)
        return [{"x": 1}]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_corpus, "rows", rows)
        table = open_source("mini", train_rows=1 << 22).table(spec, spec.subsets[0], split)
    assert counts == [mini_corpus.size(folder, split)] and isinstance(table, pa.Table)


def test_a_dataset_that_the_corpus_lacks_is_reported(monkeypatch):
    monkeypatch.setattr(mini_corpus, "known", lambda: ["arc_easy"])
    spec = dataset("qqp")
    source = open_source("mini")
    with pytest.raises(SourceError, match=r"the mini corpus has no dataset 'qqp'\. It has: arc_easy"):
        source.table(spec, spec.subsets[0], "validation")
    with pytest.raises(SourceError, match=r"qqp: qqp .the mini corpus has no such rows."):
        check_source(source, [spec], ("eval",))


def test_options_follow_a_colon_in_any_order():
    one, other = open_source("mini:seed=3,hard,long"), open_source("mini:long,hard,seed=3")
    assert one.name == other.name == "mini:hard,long,seed=3"
    spec = dataset("squad_v2")
    assert one.table(spec, spec.subsets[0], "validation").equals(other.table(spec, spec.subsets[0], "validation"))
    assert open_source("mini:").name == open_source("mini:seed=0").name == "mini"


def test_graded_combines_with_the_other_options_but_hard():
    one, other = open_source("mini:seed=3,long,graded"), open_source("mini:graded,long,seed=3")
    assert one.name == other.name == "mini:graded,long,seed=3"
    spec = dataset("squad_v2")
    assert one.table(spec, spec.subsets[0], "validation").equals(other.table(spec, spec.subsets[0], "validation"))
    for name in ("mini:graded,hard", "mini:hard,long,graded"):
        with pytest.raises(UsageError, match=f"graded and hard of source '{name}' exclude each other"):
            open_source(name)


@EACH
def test_every_graded_row_is_a_row_of_its_dataset(spec):
    outcome = load_examples(spec, "eval", open_source("mini:graded"))
    assert outcome.read == len(outcome.examples) == EVAL_ROWS * len(spec.subsets)
    assert len({example.id for example in outcome.examples}) == len(outcome.examples)


@pytest.mark.parametrize("name", ["mini:graded", "mini:hard", "mini:long", "mini:seed=1"])
def test_each_option_gives_other_rows(name):
    # Single sentences and questions are as long as the real ones from the start.
    passages = ("cnn_dailymail", "tldr", "imdb", "yelp_polarity", "anli", "squad_v2", "race")
    for spec in datasets().values() if name != "mini:long" else map(dataset, passages):
        subset = spec.subsets[0]
        tables = [open_source(source).table(spec, subset, subset.eval) for source in ("mini", name)]
        assert tables[0].num_rows == tables[1].num_rows == 512
        assert not tables[0].equals(tables[1]), f"{spec.name} is the same in {name}"


@pytest.mark.parametrize("name", ["mini:hart", "mini:seed=x", "mini:seed", "mini:seed=²", "mini:5"])
def test_an_unknown_option_is_named(name):
    with pytest.raises(UsageError, match=f"option of source '{name}'") as refused:
        open_source(name)
    assert all(option in str(refused.value) for option in ("graded", "hard", "long", "seed=N"))


def test_provenance_names_world_and_pool():
    assert open_source("mini:seed=5", train_rows=3000).provenance(dataset("qqp")) == {
        "world": "mini:seed=5",
        "train_rows": "4096",
    }
