"""Per-sample scores on disk."""

import pytest

from cme.errors import CMEError, DataError
from cme.records.samples import SAMPLE_COLUMNS, read_samples, write_samples
from tests.leaderboard.workshop import make_samples


def test_what_is_written_is_read(tmp_path):
    samples = make_samples(0.5, "a")
    write_samples(tmp_path / "s.parquet", samples)
    assert read_samples(tmp_path / "s.parquet") == samples


def test_the_same_samples_give_the_same_bytes(tmp_path):
    samples = make_samples(0.5, "a")
    write_samples(tmp_path / "a.parquet", samples)
    write_samples(tmp_path / "b.parquet", [row | {"scores": dict(reversed(row["scores"].items()))} for row in samples])
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_dataset_text_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="unknown column 'prompt'"):
        write_samples(tmp_path / "s.parquet", [row | {"prompt": "secret"} for row in make_samples(0.5, "a", rows=1)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("column", SAMPLE_COLUMNS)
def test_a_missing_column_is_named(tmp_path, column):
    import pyarrow.parquet as pq

    path = tmp_path / "s.parquet"
    write_samples(path, make_samples(0.5, "a", rows=2))
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    with pytest.raises(DataError, match=f"missing column '{column}'"):
        read_samples(path)


def test_text_and_other_types_in_the_file_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "s.parquet"
    write_samples(path, make_samples(0.5, "a", rows=2))
    table = pq.read_table(path)
    pq.write_table(table.append_column("text", pa.array(["x"] * len(table))), path)
    with pytest.raises(DataError, match="unknown column 'text'"):
        read_samples(path)
    place = table.column_names.index("score")
    pq.write_table(table.set_column(place, "score", table["score"].cast(pa.float32())), path)
    with pytest.raises(DataError, match="'score' has type float; expected double"):
        read_samples(path)


@pytest.mark.parametrize(
    ("dataset", "change", "message"),
    [
        ("qqp", {"score": 1.5}, "score is 1.5"),
        ("qqp", {"score": float("nan")}, "score is nan"),
        ("qqp", {"scores": {"acc": -0.5}}, "acc is -0.5"),
        ("qqp", {"predicted": 2}, "predicted is 2; expected an index below 2"),
        ("qqp", {"gold": None}, "gold is None with 2 options"),
        ("qqp", {"gold_probability": 1.1}, "gold_probability is 1.1"),
        ("nq_open", {"predicted": 0}, "predicted is 0 with 0 options"),
        ("nq_open", {"cluster": None}, "cluster is empty"),
    ],
)
def test_impossible_values_are_refused(tmp_path, dataset, change, message):
    rows = make_samples(0.5, "a", rows=2, names=(dataset,))
    with pytest.raises(DataError, match=message):
        write_samples(tmp_path / "s.parquet", [rows[0], rows[1] | change])


def test_a_damaged_or_missing_file_is_an_error_without_a_traceback(tmp_path):
    with pytest.raises(CMEError, match="does not exist"):
        read_samples(tmp_path / "s.parquet")
    write_samples(tmp_path / "s.parquet", make_samples(0.5, "a", rows=2))
    (tmp_path / "s.parquet").write_bytes((tmp_path / "s.parquet").read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged"):
        read_samples(tmp_path / "s.parquet")
